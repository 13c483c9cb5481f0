//! Executables that rules name and that are replaced: told once, with what the file held before and holds now.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::handler::Handler;
use crate::access::ObjectKey;
use crate::decide::Change;
use crate::event::Lifecycle;
use crate::event::text::escaped;
use crate::exe_hash::{Found, Job};
use crate::hash::Digest;
use crate::model::Severity;

/// After so long it is told without what it holds now.
const PATIENCE: Duration = Duration::from_secs(10);

/// Files that are being read, by the number of the answer.
#[derive(Debug, Default)]
pub(super) struct Upgrades {
    read: HashMap<u64, Upgrade>,
}

#[derive(Debug)]
struct Upgrade {
    /// As rules name it.
    named: PathBuf,
    path: PathBuf,
    keys: Vec<ObjectKey>,
    replaced: bool,
    old: Option<Digest>,
    since: Instant,
}

impl Handler {
    /// Finds out what the files hold that are others than before.
    pub(super) fn read_executables(&mut self, changes: Vec<(PathBuf, Change)>) {
        let mut told: Vec<PathBuf> = Vec::new();
        for (named, change) in changes {
            let Some(file) = self.exes.file(&named) else { continue };
            // Rules can name one file by several links.
            let replaced = matches!(change, Change::Replaced(_)) && !told.contains(&file.path);
            let old = if let Change::Replaced(old) = change { old } else { None };
            let (path, keys) = (file.path.clone(), file.keys.clone());
            if replaced {
                told.push(path.clone());
            }
            let job = keys.first().map(|key| Job::of_file(&path, *key));
            let upgrade = Upgrade { named, path, keys, replaced, old, since: Instant::now() };
            match job.map(|job| self.unhashed.begin(job)) {
                Some(Ok(ticket)) => drop(self.upgrades.read.insert(ticket, upgrade)),
                Some(Err(_)) | None => self.tell_upgrade(upgrade, None),
            }
        }
    }

    /// Takes the answer, if it is one about such a file.
    pub(super) fn take_upgrade(&mut self, ticket: u64, found: &Found) -> bool {
        let Some(upgrade) = self.upgrades.read.remove(&ticket) else { return false };
        let digest = match found {
            Ok(hashed) => Some(hashed.digest),
            Err(why) => {
                tracing::warn!(path = %upgrade.path.display(), why, "cannot hash an allowed executable");
                None
            }
        };
        self.tell_upgrade(upgrade, digest);
        true
    }

    /// Tells of those that nobody answers for, or of all.
    pub(super) fn tell_upgrades(&mut self, all: bool) {
        let late =
            self.upgrades.read.iter().filter(|(_, upgrade)| all || upgrade.since.elapsed() >= PATIENCE);
        let late: Vec<_> = late.map(|(ticket, _)| *ticket).collect();
        for upgrade in late.iter().filter_map(|ticket| self.upgrades.read.remove(ticket)).collect::<Vec<_>>()
        {
            self.tell_upgrade(upgrade, None);
        }
    }

    fn tell_upgrade(&mut self, upgrade: Upgrade, new: Option<Digest>) {
        let Upgrade { named, path, keys, replaced, old, since: _ } = upgrade;
        self.exes.learn(&named, &keys, new);
        if !replaced {
            return;
        }
        let path = path.to_string_lossy().into_owned();
        let shown = |digest: Option<Digest>| digest.map_or("unknown".to_owned(), |digest| digest.to_string());
        let (before, now) = (shown(old), shown(new));
        let message =
            format!("{} was replaced, which rules allow: SHA-256 {before} before, {now} now", escaped(&path));
        let [old_sha256, new_sha256] = [old, new].map(|digest| digest.map(|digest| digest.to_string()));
        let replaced = Lifecycle::ExecutableReplaced { path, old_sha256, new_sha256 };
        self.emit_lifecycle(replaced, Severity::Medium, message);
    }
}
