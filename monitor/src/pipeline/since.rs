//! Looking at what was held before the start, while what happens now is handled already.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot::{Receiver, channel};

use super::handler::Handler;
use super::unhashed::know;
use crate::access::{Access, TargetId};
use crate::event::{Lifecycle, SnapshotTaken};
use crate::exe_hash::{Found, Job, Reader};
use crate::memory;
use crate::model::Severity;
use crate::snapshot::{self, Holder, Snapshot, Thing, Wanted};

/// How long a stopping daemon waits for what it has not found yet.
const PATIENCE: Duration = Duration::from_secs(5);

/// No executable is begun to be read after so long.
const HASHING: Duration = Duration::from_secs(2);

/// Accesses that are kept in mind until then.
const SEEN_MAX: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Since {
    /// `None` when there is nothing to wait for.
    pending: Option<Receiver<Snapshot>>,
    /// Who used what since the start.
    seen: HashSet<(u32, Thing)>,
    /// Of another policy, which came meanwhile: to be looked at afterwards.
    later: HashSet<TargetId>,
}

impl Handler {
    /// Looks at who holds a door already.
    pub(super) fn look_back(&mut self) {
        self.since = self.begin_to_look(self.wanted());
    }

    /// The same for doors that another policy added, after a look that is under way.
    pub(super) fn look_back_at(&mut self, targets: HashSet<TargetId>) {
        self.since.later(targets);
        if let Some(targets) = self.since.next() {
            self.since = self.begin_to_look(self.wanted().of(&targets));
        }
    }

    fn begin_to_look(&self, wanted: Wanted) -> Since {
        Since::begin(wanted, self.unhashed.reader(), self.jobs())
    }

    fn wanted(&self) -> Wanted {
        Wanted::new(&self.keeper, &self.exes, self.context.namespaces)
    }

    /// Reports who held a door before the daemon began to watch.
    pub(super) fn held_before(&mut self, snapshot: Snapshot) {
        let Snapshot { holders, processes, unreadable, left_out, coverage_gaps } = snapshot;
        let mut taken =
            SnapshotTaken { processes, unreadable, left_out, coverage_gaps, ..SnapshotTaken::default() };
        for Holder { decoded, count } in holders {
            // What another policy has instead is looked for once more.
            if self.since.was_seen(&decoded.access) || !self.keeper.has(decoded.access.target) {
                continue;
            }
            let Some((class, facts, verdict)) = self.judge(decoded.access.target, &decoded) else {
                continue;
            };
            let violates = verdict.is_violation();
            *(if violates { &mut taken.violations } else { &mut taken.allowed }) += 1;
            if violates || self.show_allowed {
                let event = self.context.access(class, &decoded.access, facts, verdict);
                self.emitter.emit(self.context.held(event, count));
            }
        }
        self.before += taken.violations;
        let later = self.since.end();
        let message = message(&taken);
        self.emit_lifecycle(Lifecycle::SnapshotTaken(taken), Severity::Info, message);
        memory::trim();
        self.look_back_at(later);
    }
}

impl Since {
    /// Looks on a thread of its own, because it enters other network namespaces and takes its time on a large node.
    /// `job` says whose executable to hash.
    pub(super) fn begin(
        wanted: Wanted,
        hashes: Reader,
        job: impl Fn(&Access) -> Option<Job> + Send + 'static,
    ) -> Self {
        let (sender, receiver) = channel();
        let thread = thread::Builder::new().name("snapshot".to_owned()).spawn(move || {
            let mut snapshot = snapshot::take(&wanted);
            hash(&mut snapshot, &hashes, job);
            // Nobody waits any more when the daemon has stopped.
            let _stopped = sender.send(snapshot);
        });
        if let Err(error) = thread {
            tracing::error!(%error, "cannot look at what is held already");
        }
        Self { pending: Some(receiver), ..Self::default() }
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

    /// Notes targets to look at.
    pub(super) fn later(&mut self, targets: HashSet<TargetId>) {
        self.later.extend(targets);
    }

    /// Those that can be looked at now.
    pub(super) fn next(&mut self) -> Option<HashSet<TargetId>> {
        let free = self.pending.is_none() && !self.later.is_empty();
        free.then(|| mem::take(&mut self.later))
    }

    /// What was found is told. Returns what is to be looked at next.
    pub(super) fn end(&mut self) -> HashSet<TargetId> {
        mem::take(self).later
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

/// Hashes what the holders run, which takes what time there is.
fn hash(snapshot: &mut Snapshot, hashes: &Reader, job: impl Fn(&Access) -> Option<Job>) {
    let until = Instant::now() + HASHING;
    let mut known: HashMap<u32, Found> = HashMap::new();
    for Holder { decoded, .. } in &mut snapshot.holders {
        let Some(job) = job(&decoded.access) else { continue };
        let found = known.entry(decoded.access.actor.pid).or_insert_with(|| match Instant::now() < until {
            true => hashes.look(&job),
            false => Err("there was no time for it".to_owned()),
        });
        know(&mut decoded.access, &mut decoded.errors, found.clone());
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
        let mut since = Since { pending: Some(receiver), ..Since::default() };
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

    #[test]
    fn targets_that_come_meanwhile_are_looked_at_later() {
        let (_sender, receiver) = channel();
        let mut since = Since { pending: Some(receiver), ..Since::default() };
        since.later([TargetId(3)].into());
        assert_eq!(since.next(), None);
        let later = since.end();
        since.later(later);
        assert_eq!(since.next(), Some([TargetId(3)].into()));
        assert_eq!(since.next(), None);
    }

    #[tokio::test]
    async fn a_look_that_fails_is_told() {
        let (sender, receiver) = channel();
        let mut since = Since { pending: Some(receiver), ..Since::default() };
        drop(sender);
        assert_eq!(since.taken().await.coverage_gaps, ["what was held before the start: it failed"]);
    }
}
