//! Reading the policy again: on SIGHUP, and if asked for whenever the file changes.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::Handler;
use crate::config::{self, Config};
use crate::event::{Agent, Lifecycle};
use crate::model::Severity;
use crate::status::systemd;

/// The file is looked at this often. Whoever writes it in place has so long to finish.
const LOOK: Duration = Duration::from_secs(1);

pub struct Reloads {
    path: Option<PathBuf>,
    hangup: Signal,
    watch: Option<Watch>,
}

struct Watch {
    look: Interval,
    /// Of the file that was read last, and of the last look.
    read: Option<Stamp>,
    seen: Option<Stamp>,
}

/// Another one: another file, by a link that leads elsewhere too, or another content.
type Stamp = (u64, u64, i64, i64, u64);

impl Reloads {
    pub fn new(path: Option<&Path>, watch: bool) -> io::Result<Self> {
        let hangup = signal(SignalKind::hangup())?;
        let watch = path.filter(|_| watch).map(|path| {
            let mut look = interval(LOOK);
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let now = stamp(path);
            Watch { look, read: now, seen: now }
        });
        Ok(Self { path: path.map(Path::to_owned), hangup, watch })
    }

    /// The policy file.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Waits until the policy is to be read again. Safe to cancel.
    pub async fn wanted(&mut self) {
        let Self { path, hangup, watch } = self;
        let changed = async {
            match (path, watch) {
                (Some(path), Some(watch)) => watch.changed(path).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = hangup.recv() => {}
            () = changed => {}
        }
    }
}

impl Watch {
    /// Waits until the file is another one and was the same for two looks. One that is gone for now is none.
    async fn changed(&mut self, path: &Path) {
        loop {
            self.look.tick().await;
            let now = stamp(path);
            let settled = now == self.seen;
            self.seen = now;
            if settled && now.is_some() && now != self.read {
                self.read = now;
                return;
            }
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.mtime(), file.mtime_nsec(), file.size()))
}

impl Handler {
    /// Reads the policy again. One that is not valid is none.
    pub(super) fn read_policy(&mut self) -> Option<Config> {
        match config::load(self.reloads.path()) {
            Ok(config) => Some(config),
            Err(error) => {
                self.count_policy(false);
                let error = error.to_string();
                let message = format!("the policy is not valid, the old one goes on: {error}");
                self.emit_lifecycle(Lifecycle::ReloadFailed { error }, Severity::Medium, message);
                None
            }
        }
    }

    /// Goes on by another policy.
    pub(super) fn reload(&mut self, config: Config) {
        systemd::reloading();
        let (rules, targets) = (config.rules.len(), config.targets.len());
        let config_sha256 = config.sha256.clone();
        self.context.agent =
            Arc::new(Agent { config_sha256: config.sha256.clone(), ..(*self.context.agent).clone() });
        let inbound = config.inbound();
        self.lookout.want(config.discover);
        self.known.replace(config.targets.into_iter().map(|entry| entry.value).collect(), config.discover);
        self.identities.look_beside(&self.known.sockets());
        let new = self.keeper.replace(inbound, self.known.targets());
        self.rules = config.rules.into_iter().map(|entry| entry.value).collect();
        self.exes = self.exes.for_rules(&self.rules);
        self.context.severities = config.severities;
        let message = format!("the policy was read again: {rules} rules, {targets} targets");
        self.look_at_executables();
        let policy_warnings = config::warnings(&self.rules, |path| Some(self.exes.file(path)?.path.clone()));
        let reloaded = Lifecycle::Reloaded { config_sha256, rules, targets, policy_warnings };
        self.count_policy(true);
        systemd::ready(&message);
        self.emit_lifecycle(reloaded, Severity::Info, message);
        self.refresh();
        self.look_back_at(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_file_is_read_again_when_it_has_settled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.yaml");
        fs::write(&path, "a").unwrap();
        let mut reloads = Reloads::new(Some(&path), true).unwrap();
        let soon = Duration::from_secs(10);
        assert!(tokio::time::timeout(soon, reloads.wanted()).await.is_err(), "nothing changed");
        fs::write(dir.path().join("new"), "b").unwrap();
        fs::rename(dir.path().join("new"), &path).unwrap();
        tokio::time::timeout(soon, reloads.wanted()).await.unwrap();
        assert!(tokio::time::timeout(soon, reloads.wanted()).await.is_err(), "it was told");
        fs::remove_file(&path).unwrap();
        assert!(tokio::time::timeout(soon, reloads.wanted()).await.is_err(), "a file that is gone is none");
    }
}
