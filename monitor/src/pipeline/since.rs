//! Looking at what was held before the start, while what happens now is handled already.

use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot::{Receiver, channel};

use crate::access::Access;
use crate::event::SnapshotTaken;
use crate::snapshot::{self, Snapshot, Thing, Wanted};

/// How long a stopping daemon waits for what it has not found yet.
const PATIENCE: Duration = Duration::from_secs(5);

/// Accesses that are kept in mind until then.
const SEEN_MAX: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Since {
    /// `None` when there is nothing to wait for.
    pending: Option<Receiver<Snapshot>>,
    /// Who used what since the start.
    seen: HashSet<(u32, Thing)>,
}

impl Since {
    /// Looks on a thread of its own, because it enters other network namespaces and takes its time on a large node.
    pub(super) fn begin(wanted: Wanted) -> Self {
        let (sender, receiver) = channel();
        let thread = thread::Builder::new().name("snapshot".to_owned()).spawn(move || {
            // Nobody waits any more when the daemon has stopped.
            let _stopped = sender.send(snapshot::take(&wanted));
        });
        if let Err(error) = thread {
            tracing::error!(%error, "cannot look at what is held already");
        }
        Self { pending: Some(receiver), seen: HashSet::new() }
    }

    /// Waits for what was found. Safe to cancel.
    pub(super) async fn taken(&mut self) -> Snapshot {
        let Some(pending) = &mut self.pending else { return std::future::pending().await };
        let taken = pending.await;
        self.pending = None;
        taken.unwrap_or_else(|_| failed("it failed"))
    }

    /// What was found, if that is not known yet, and is soon.
    pub(super) async fn last(&mut self) -> Option<Snapshot> {
        self.pending.as_ref()?;
        let taken = tokio::time::timeout(PATIENCE, self.taken()).await;
        Some(taken.unwrap_or_else(|_| failed("the daemon was stopped before it was known")))
    }

    /// Notes an access that the hooks told of.
    pub(super) fn seen(&mut self, access: &Access) {
        if self.pending.is_some() && self.seen.len() < SEEN_MAX {
            self.seen.extend(Thing::of(&access.object).map(|thing| (access.actor.pid, thing)));
        }
    }

    /// Whether the hooks told of it.
    pub(super) fn was_seen(&self, access: &Access) -> bool {
        Thing::of(&access.object).is_some_and(|thing| self.seen.contains(&(access.actor.pid, thing)))
    }
}

fn failed(why: &str) -> Snapshot {
    let gap = format!("what was held before the start: {why}");
    Snapshot { coverage_gaps: vec![gap], ..Snapshot::default() }
}

/// The sentence of the event that ends it.
pub(super) fn message(taken: &SnapshotTaken) -> String {
    let SnapshotTaken { processes, unreadable, violations, allowed, .. } = taken;
    format!(
        "looked back at {processes} processes, {unreadable} of them unreadable: {violations} unexpected uses from before the start, {allowed} expected"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::samples::{access, actor, file};
    use crate::model::Action;

    #[tokio::test]
    async fn what_the_hooks_told_of_is_not_told_again() {
        let (sender, receiver) = channel();
        let mut since = Since { pending: Some(receiver), seen: HashSet::new() };
        let opened = access(Action::Create, file(b"/x", false, true), actor(&[]));
        since.seen(&opened);
        let mut other = opened.clone();
        other.actor.pid += 1;
        let reads = access(Action::Open, file(b"/x", true, false), actor(&[]));
        for (held, seen) in [(&opened, true), (&other, false), (&reads, false)] {
            assert_eq!(since.was_seen(held), seen, "{held:?}");
        }
        sender.send(Snapshot::default()).unwrap();
        assert!(since.last().await.unwrap().coverage_gaps.is_empty());
        assert!(since.last().await.is_none());
        since.seen(&reads);
        assert!(!since.was_seen(&reads));
    }

    #[tokio::test]
    async fn a_look_that_fails_is_told() {
        let (sender, receiver) = channel();
        let mut since = Since { pending: Some(receiver), seen: HashSet::new() };
        drop(sender);
        assert_eq!(since.taken().await.coverage_gaps, ["what was held before the start: it failed"]);
    }
}
