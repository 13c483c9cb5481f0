//! Looking at what runs on the node, again and again, and adding the doors that it names.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::oneshot::Receiver;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

use super::Handler;
use crate::event::{FoundTarget, Lifecycle};
use crate::model::Severity;
use crate::node::Root;
use crate::running::{Found, News, Running, begin};

/// What was started anew is known after this time. A look takes some milliseconds on a thread of its own.
const LOOK: Duration = Duration::from_secs(10);

/// No file system of a node takes so long to give a few files.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sentences that are remembered, so that each is told once.
const TOLD_MAX: usize = 256;

/// One look at a time.
pub struct Lookout {
    root: Root,
    sockets: Vec<PathBuf>,
    /// /proc shows the node's processes, and not those of a container, where anybody is root.
    sees_processes: bool,
    /// Whether the policy wants it, too.
    wanted: bool,
    look: Interval,
    pending: Option<(Receiver<Result<Running, String>>, Instant)>,
    told: HashSet<String>,
}

impl Lookout {
    /// With the sockets of runtimes that the policy names.
    pub fn new(root: Root, sockets: Vec<PathBuf>, sees_processes: bool) -> Self {
        let mut look = interval_at(Instant::now() + LOOK, LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let wanted = false;
        Self { root, sockets, sees_processes, wanted, look, pending: None, told: HashSet::new() }
    }

    /// Takes what the policy says.
    pub fn want(&mut self, wanted: bool) {
        self.wanted = wanted && self.sees_processes;
    }

    /// The first look, which the start waits for, but not for long.
    pub async fn first(&mut self, most: Duration) -> Running {
        if !self.wanted {
            return Running::default();
        }
        self.begin();
        tokio::time::timeout(most, self.looked()).await.unwrap_or_default()
    }

    /// Waits for the end of a look. Safe to cancel.
    pub(super) async fn looked(&mut self) -> Running {
        if !self.wanted {
            return std::future::pending().await;
        }
        loop {
            let Some((receiver, late)) = &mut self.pending else {
                self.look.tick().await;
                self.begin();
                continue;
            };
            let answer = tokio::select! {
                answer = receiver => answer,
                () = sleep_until(*late) => {
                    *late += Duration::from_hours(24);
                    let what = "what runs here is not known: a look at its files does not end";
                    return Running { found: Vec::new(), notes: vec![what.to_owned()] };
                }
            };
            self.pending = None;
            let failed = |why: &str| format!("what runs here is not known: {why}");
            return match answer {
                Ok(Ok(running)) => running,
                Ok(Err(why)) => Running { found: Vec::new(), notes: vec![failed(&why)] },
                Err(_) => Running { found: Vec::new(), notes: vec![failed("the look at it failed")] },
            };
        }
    }

    fn begin(&mut self) {
        self.pending = Some((begin(&self.root, self.sockets.clone()), Instant::now() + PATIENCE));
    }

    /// What was not told yet.
    fn untold(&mut self, notes: Vec<String>) -> Vec<String> {
        if self.told.len() > TOLD_MAX {
            self.told.clear();
        }
        notes.into_iter().filter(|note| self.told.insert(note.clone())).collect()
    }
}

impl Handler {
    /// Watches what was found, too.
    pub(super) fn look_at_running(&mut self, running: Running) {
        let news = self.known.add(&running);
        if news.added.is_empty() {
            return self.tell_found(news, running.notes);
        }
        let new = self.keeper.retarget(self.known.targets());
        self.identities.look_beside(&self.known.sockets());
        // Told when they are watched, and not before.
        self.refresh();
        self.tell_found(news, running.notes);
        self.look_back_at(new);
    }

    pub(super) fn tell_found(&mut self, news: News, notes: Vec<String>) {
        let notes = self.lookout.untold(notes);
        let News { added, left_out } = news;
        if left_out > 0 {
            tracing::warn!(left_out, "what runs here names more than is watched");
        }
        if added.is_empty() && notes.is_empty() {
            return;
        }
        let targets: Vec<_> = added.into_iter().map(described).collect();
        let message = match targets.as_slice() {
            [] => notes.join("; "),
            [FoundTarget { class, target, from }] => {
                format!("{from} names one more target: {class} {target}")
            }
            [FoundTarget { from, .. }, ..] => {
                format!("what runs here names {} more targets, first {from}", targets.len())
            }
        };
        let left_out = left_out as u64;
        let found = Lifecycle::TargetsFound { targets, left_out, notes };
        self.emit_lifecycle(found, Severity::Info, message);
    }
}

fn described(found: Found) -> FoundTarget {
    let Found { target, from } = found;
    FoundTarget { class: target.class, target: target.name(), from }
}
