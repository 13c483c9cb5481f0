//! One record after the other: decode, enrich, decide, emit.

use std::net::IpAddr;
use std::time::Instant;

use super::canary::Canary;
use super::health::{HEARTBEAT, Health};
use super::held::Held;
use super::manifests::{self, Manifests};
use super::reload::Reloads;
use super::repeats::{Due, Repeats};
use super::since::{self, Since};
use crate::access::Access;
use crate::clock::Clock;
use crate::config::Rule;
use crate::decide::ExeTable;
use crate::decode::{Record, decode};
use crate::emit::{EmitCounters, Emitter};
use crate::event::{Context, Event, Facts, Lifecycle, SnapshotTaken};
use crate::identity::Identities;
use crate::kernel::Kernel;
use crate::memory;
use crate::model::{Class, Severity};
use crate::snapshot::{self, Holder, Snapshot, Wanted};
use crate::told::Teller;
use crate::verdict::Verdict;
use crate::watch::Keeper;

/// What a handler is made of.
pub struct Parts {
    pub kernel: Kernel,
    pub keeper: Keeper,
    pub rules: Vec<Rule>,
    pub exes: ExeTable,
    pub identities: Identities,
    pub context: Context,
    pub emitter: Emitter,
    pub teller: Teller,
    pub reloads: Reloads,
    pub show_allowed: bool,
}

pub struct Handler {
    pub(super) kernel: Kernel,
    pub(super) keeper: Keeper,
    pub(super) rules: Vec<Rule>,
    pub(super) exes: ExeTable,
    pub(super) exes_seen: Instant,
    pub(super) identities: Identities,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) context: Context,
    pub(super) emitter: Emitter,
    show_allowed: bool,
    pub(super) health: Health,
    pub(super) held: Held,
    pub(super) manifests: Manifests,
    pub(super) teller: Teller,
    pub(super) reloads: Reloads,
    pub(super) repeats: Repeats,
    canary: Canary,
    pub(super) alerts: u64,
    pub(super) since: Since,
    /// Violations that lasted since before the start.
    pub(super) before: u64,
}

impl Handler {
    pub fn new(parts: Parts) -> Self {
        let Parts {
            kernel,
            keeper,
            rules,
            exes,
            identities,
            context,
            emitter,
            teller,
            reloads,
            show_allowed,
        } = parts;
        let mut handler = Self {
            kernel,
            keeper,
            rules,
            exes,
            exes_seen: Instant::now(),
            identities,
            addresses: Vec::new(),
            context,
            emitter,
            show_allowed,
            health: Health::default(),
            held: Held::default(),
            manifests: Manifests::default(),
            teller,
            reloads,
            repeats: Repeats::default(),
            canary: Canary::default(),
            alerts: 0,
            since: Since::default(),
            before: 0,
        };
        handler.look_at_addresses();
        handler.guard();
        handler
    }

    pub(super) fn record(&mut self, record: &[u8]) {
        match decode(record) {
            Ok(Record::Access(mut decoded)) => {
                self.name(&mut decoded);
                self.since.seen(&decoded.access);
                self.held.opened(&decoded.access);
                self.teller.opened(&decoded.access);
                if let Some(decoded) = self.teller.behind(decoded)
                    && let Some(due) = self.held.hold(decoded)
                {
                    self.access(&due);
                }
            }
            // Described for what fanotify tells, and never sent.
            Ok(Record::Doer(_)) => {}
            Ok(Record::Outcome(outcome)) => {
                if let Some(decoded) = self.held.connected(&outcome) {
                    self.access(&decoded);
                }
            }
            Err(error) => {
                tracing::error!(%error, "cannot decode a record");
                self.health.undecodable += 1;
            }
        }
    }

    /// Reports what was held back long enough, or all of it.
    pub(super) fn release(&mut self, all: bool) {
        while let Some(decoded) = self.held.take(all) {
            self.access(&decoded);
        }
    }

    /// Hears what fanotify tells.
    pub(super) fn hear(&mut self) {
        if let Err(error) = self.teller.hear(&mut self.kernel, &self.keeper) {
            tracing::error!(%error, "cannot read from fanotify");
            self.health.undecodable += 1;
        }
    }

    /// Reports what was told long enough ago, or all of it.
    pub(super) fn tell(&mut self, all: bool) {
        loop {
            let (keeper, exes, namespaces) = (&self.keeper, &self.exes, self.context.namespaces);
            let who = |pid| snapshot::describe(pid, &Wanted::new(keeper, exes, namespaces));
            let Some(told) = self.teller.take(all, &mut self.kernel, keeper, &who) else { return };
            told.iter().for_each(|decoded| self.access(decoded));
        }
    }

    /// Looks at who holds a door already.
    pub(super) fn look_back(&mut self) {
        let wanted = Wanted::new(&self.keeper, &self.exes, self.context.namespaces);
        self.since = Since::begin(wanted);
    }

    /// Reports who held a door before the daemon began to watch.
    pub(super) fn held_before(&mut self, snapshot: Snapshot) {
        let Snapshot { holders, processes, unreadable, left_out, coverage_gaps } = snapshot;
        let mut taken =
            SnapshotTaken { processes, unreadable, left_out, coverage_gaps, ..SnapshotTaken::default() };
        for Holder { decoded, count } in holders {
            if self.since.was_seen(&decoded.access) {
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
        self.before = taken.violations;
        self.since = Since::default();
        let message = since::message(&taken);
        self.emit_lifecycle(Lifecycle::SnapshotTaken(taken), Severity::Info, message);
        memory::trim();
    }

    pub(super) fn emit(&mut self, class: Class, access: &Access, facts: Facts, verdict: Verdict) {
        if verdict.is_violation() {
            self.alerts += 1;
        } else if !self.show_allowed {
            return;
        }
        let manifest = manifests::changed(class, access, &facts.path);
        let event = self.context.access(class, access, facts, verdict);
        self.repeats.note(access, &event);
        let Some(path) = manifest else {
            self.emitter.emit(event);
            return;
        };
        let id = self.emitter.emit(event.clone());
        self.manifests.written(path, Event { id, ..event });
    }

    pub(super) fn emit_lifecycle(&mut self, lifecycle: Lifecycle, severity: Severity, message: String) {
        self.emitter.emit(self.context.lifecycle(lifecycle, severity, message));
    }

    /// Reports what was counted of the accesses that processes repeat.
    pub(super) fn report_repeats(&mut self, all: bool) {
        let (due, idle) = self.repeats.due(self.kernel.repeats(), all);
        for Due { event, count, first, last } in due {
            self.emitter.emit(self.context.repeated(*event, count, first, last));
        }
        idle.iter().for_each(|key| self.kernel.forget(key));
    }

    pub(super) fn check_health(&mut self, last: bool) {
        self.kernel.flush_log();
        if let Some(missing) = self.canary.due(&mut self.kernel) {
            self.emitter.emit(self.context.canary(missing, HEARTBEAT.as_secs()));
        }
        self.report_repeats(false);
        self.context.clock.follow(Clock::measure());
        let kernel =
            self.kernel.counters().inspect_err(|error| tracing::error!(%error, "cannot read the counters"));
        self.health.preemptible = self.kernel.attached().preemptible;
        self.health.unattributed = self.repeats.unattributed;
        self.health.overflows = self.teller.overflows;
        self.health.brief_mounts = self.teller.brief_mounts;
        self.health.manifests = self.manifests.unread;
        let due = self.health.due(kernel.ok().as_ref(), self.emitter.counters(), self.alerts, last);
        for health in due {
            self.emitter.emit(self.context.health(health));
        }
    }

    pub(super) fn finish(self) -> EmitCounters {
        self.emitter.finish()
    }
}
