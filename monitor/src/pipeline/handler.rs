//! One record after the other: decode, enrich, decide, emit.

use std::time::{Duration, Instant};

use super::actors::Actors;
use super::canary::Canary;
use super::health::{HEARTBEAT, Health};
use super::held::Held;
use super::limits::Limits;
use super::manifests::Manifests;
use super::reload::Reloads;
use super::repeats::{Due, Repeats};
use super::running::Lookout;
use super::since::Since;
use super::unhashed;
use super::upgrades::Upgrades;
use crate::clock::Clock;
use crate::config::Rule;
use crate::decide::{Change, ExeTable};
use crate::decode::{Record, decode};
use crate::emit::{EmitCounters, Emitter};
use crate::event::{Context, Lifecycle};
use crate::exe_hash::Hashes;
use crate::identity::Identities;
use crate::kernel::Kernel;
use crate::model::Severity;
use crate::node::{Addresses, Clients, Lives};
use crate::running::{Known, News, Running};
use crate::snapshot::{self, Wanted};
use crate::status::systemd::Watchdog;
use crate::status::{Status, Tally};
use crate::told::Teller;
use crate::watch::Keeper;

/// What a handler is made of.
pub struct Parts {
    pub kernel: Kernel,
    pub keeper: Keeper,
    pub known: Known,
    pub lookout: Lookout,
    pub rules: Vec<Rule>,
    pub exes: ExeTable,
    pub lives: Lives,
    pub identities: Identities,
    /// None where the node's sockets cannot be asked for.
    pub clients: Option<Clients>,
    pub context: Context,
    pub emitter: Emitter,
    pub teller: Teller,
    pub reloads: Reloads,
    pub hashes: Hashes,
    pub show_allowed: bool,
    pub repeat_window: Duration,
    pub alerts_per_minute: Option<u32>,
}

pub struct Handler {
    pub(super) kernel: Kernel,
    pub(super) keeper: Keeper,
    /// The policy's targets, and those that what runs here names.
    pub(super) known: Known,
    pub(super) lookout: Lookout,
    pub(super) rules: Vec<Rule>,
    pub(super) exes: ExeTable,
    pub(super) exes_seen: Instant,
    /// Something happened to one of them since.
    pub(super) exes_changed: bool,
    pub(super) lives: Lives,
    pub(super) upgrades: Upgrades,
    pub(super) identities: Identities,
    pub(super) clients: Option<Clients>,
    pub(super) addresses: Addresses,
    pub(super) context: Context,
    pub(super) emitter: Emitter,
    pub(super) show_allowed: bool,
    pub(super) unhashed: unhashed::Queue,
    pub(super) health: Health,
    pub(super) held: Held,
    pub(super) manifests: Manifests,
    pub(super) teller: Teller,
    pub(super) reloads: Reloads,
    pub(super) actors: Actors,
    pub(super) repeats: Repeats,
    pub(super) limits: Limits,
    pub(super) canary: Canary,
    watchdog: Watchdog,
    /// Where others read how the daemon is, if they may.
    pub(super) status: Option<Status>,
    pub(super) tally: Tally,
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
            known,
            lookout,
            rules,
            exes,
            lives,
            identities,
            clients,
            context,
            emitter,
            teller,
            reloads,
            hashes,
            show_allowed,
            repeat_window,
            alerts_per_minute,
        } = parts;
        let addresses = Addresses::of_node(kernel.identity());
        let mut handler = Self {
            kernel,
            keeper,
            known,
            lookout,
            rules,
            exes,
            exes_seen: Instant::now(),
            exes_changed: false,
            lives,
            upgrades: Upgrades::default(),
            identities,
            clients,
            addresses,
            context,
            emitter,
            show_allowed,
            unhashed: unhashed::Queue::new(hashes),
            health: Health::default(),
            held: Held::default(),
            manifests: Manifests::default(),
            teller,
            reloads,
            actors: Actors::default(),
            repeats: Repeats::new(repeat_window),
            limits: Limits::new(alerts_per_minute),
            canary: Canary::default(),
            watchdog: Watchdog::default(),
            status: None,
            tally: Tally::default(),
            alerts: 0,
            since: Since::default(),
            before: 0,
        };
        handler.guard();
        // As they were found before anything was armed.
        let found: Vec<_> = handler.exes.paths().map(|path| (path.to_owned(), Change::New)).collect();
        handler.read_executables(found);
        handler
    }

    /// Tells what was found before the start.
    pub fn found_first(&mut self, news: News, running: Running) {
        self.tell_found(news, running.notes);
    }

    pub(super) fn record(&mut self, record: &[u8]) {
        match decode(record) {
            Ok(Record::Access(mut decoded)) => {
                self.keeper.tell_apart(&mut decoded);
                self.name(&mut decoded);
                self.doubt(&mut decoded.access.actor);
                // While its container is there: it may be gone when what has to wait is told.
                let _remembered =
                    self.identities.of(self.keeper.root(), &decoded.access.actor, self.context.namespaces);
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
            for mut decoded in told {
                self.doubt(&mut decoded.access.actor);
                self.access(&decoded);
            }
        }
    }

    /// Reports all that waits, and what was counted until now.
    pub(super) async fn settle(&mut self) {
        self.hear();
        // Too much may wait for more to be read.
        self.tell(true);
        self.hear();
        self.tell(true);
        self.release(true);
        self.tell_all().await;
        self.report_repeats(true);
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
        self.report_left_out(last);
        self.tell_upgrades(last);
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
        let kernel = kernel.ok();
        let due = self.health.due(kernel.as_ref(), self.emitter.counters(), self.alerts, last);
        for health in due {
            self.emitter.emit(self.context.health(health));
        }
        self.watchdog.alive();
        self.report_status(kernel.as_ref());
    }

    pub(super) fn finish(self) -> EmitCounters {
        self.emitter.finish()
    }
}
