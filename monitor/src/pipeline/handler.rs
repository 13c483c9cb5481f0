//! One record after the other: decode, enrich, decide, emit.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::health::Health;
use crate::access::{Access, Object};
use crate::clock::Clock;
use crate::config::Rule;
use crate::decide::{ExeTable, decide, destination_counts};
use crate::decode::{Decoded, decode};
use crate::emit::{EmitCounters, Emitter};
use crate::enrich;
use crate::event::{Context, Lifecycle};
use crate::kernel::Kernel;
use crate::model::Severity;
use crate::node;
use crate::target::{Target, What};
use crate::verdict::{Reason, Verdict};
use crate::watch::{Change, Keeper, State};

/// Least time between two looks at the allowed executables that an unexpected actor can cause.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What a handler is made of.
pub struct Parts {
    pub kernel: Kernel,
    pub keeper: Keeper,
    pub rules: Vec<Rule>,
    pub exes: ExeTable,
    pub context: Context,
    pub emitter: Emitter,
    pub show_allowed: bool,
}

pub struct Handler {
    kernel: Kernel,
    pub(super) keeper: Keeper,
    rules: Vec<Rule>,
    exes: ExeTable,
    exes_seen: Instant,
    addresses: Vec<IpAddr>,
    pub(super) context: Context,
    pub(super) emitter: Emitter,
    show_allowed: bool,
    health: Health,
    pub(super) alerts: u64,
}

impl Handler {
    pub fn new(parts: Parts) -> Self {
        let Parts { kernel, keeper, rules, exes, context, emitter, show_allowed } = parts;
        let mut handler = Self {
            kernel,
            keeper,
            rules,
            exes,
            exes_seen: Instant::now(),
            addresses: Vec::new(),
            context,
            emitter,
            show_allowed,
            health: Health::default(),
            alerts: 0,
        };
        handler.look_at_addresses();
        handler
    }

    pub(super) fn record(&mut self, record: &[u8]) {
        match decode(record) {
            Ok(decoded) => self.access(&decoded),
            Err(error) => {
                tracing::error!(%error, "cannot decode a record");
                self.health.undecodable += 1;
            }
        }
    }

    fn access(&mut self, decoded: &Decoded) {
        let access = &decoded.access;
        let Some(target) = self.keeper.target(access.target) else {
            tracing::error!(target = access.target.0, "a record names an unknown target");
            self.health.undecodable += 1;
            return;
        };
        if !self.is_door(target, access) {
            return;
        }
        let class = target.class;
        let facts = enrich::facts(decoded, target, &self.keeper, &self.addresses);
        let verdict = self.decide(class, access);
        if verdict.is_violation() {
            self.alerts += 1;
        } else if !self.show_allowed {
            return;
        }
        self.emitter.emit(self.context.access(class, access, facts, verdict));
    }

    /// A port is a door only at some addresses: other things listen on the same numbers elsewhere. A socket is one only to
    /// those who connect: an attempt to open it as a file reaches a hook, and nobody.
    fn is_door(&self, target: &Target, access: &Access) -> bool {
        match (&target.what, &access.object) {
            (What::Port { destinations, .. }, Object::InetSocket(inet)) => destination_counts(
                destinations,
                &self.addresses,
                self.context.namespaces.net,
                inet,
                access.actor.net_ns,
            ),
            (What::Directory(_), Object::File(_)) | (What::Socket(_), Object::UnixSocket(_)) => true,
            (What::Directory(_) | What::Socket(_) | What::Port { .. }, _) => false,
        }
    }

    /// An allowed executable may have been replaced since it was looked at, by an upgrade for example: then the actor runs the
    /// file that now has the path, and a second look finds it.
    fn decide(&mut self, class: crate::model::Class, access: &Access) -> Verdict {
        let verdict = decide(&self.rules, &self.exes, class, access);
        if verdict.reason != Reason::ExeNotNodeFile || self.exes_seen.elapsed() < LOOK_AGAIN {
            return verdict;
        }
        self.look_at_executables();
        decide(&self.rules, &self.exes, class, access)
    }

    /// Looks at the node again.
    pub(super) fn refresh(&mut self) {
        match self.keeper.refresh(&mut self.kernel) {
            Ok(changes) => changes.into_iter().for_each(|change| self.report(change)),
            Err(error) => {
                tracing::error!(%error, "cannot look at the targets again; what is watched stays watched");
            }
        }
        self.look_at_executables();
        self.look_at_addresses();
    }

    fn look_at_executables(&mut self) {
        if let Err(error) = node::executables::resolve(&mut self.kernel, self.keeper.root(), &mut self.exes) {
            tracing::error!(%error, "cannot look at the allowed executables");
        }
        self.exes_seen = Instant::now();
    }

    fn look_at_addresses(&mut self) {
        match node::addresses() {
            Ok(addresses) => self.addresses = addresses,
            Err(error) => tracing::warn!(%error, "cannot read the node's addresses"),
        }
    }

    fn report(&mut self, change: Change) {
        let Some(target) = self.keeper.target(change.target) else { return };
        let (class, name) = (target.class, target.name());
        let (lifecycle, severity, message) = match change.state {
            State::Armed => (
                Lifecycle::TargetArmed { class, target: name.clone() },
                Severity::Info,
                format!("watching {class} {name}"),
            ),
            State::Waiting(why) => (
                Lifecycle::TargetLost { class, target: name.clone(), why: why.clone() },
                Severity::Medium,
                format!("{class} {name} is gone: {why}"),
            ),
        };
        self.emitter.emit(self.context.lifecycle(lifecycle, severity, message));
    }

    pub(super) fn check_health(&mut self) {
        self.kernel.flush_log();
        self.context.clock.follow(Clock::measure());
        let kernel =
            self.kernel.counters().inspect_err(|error| tracing::error!(%error, "cannot read the counters"));
        let due = self.health.due(kernel.ok().as_ref(), self.emitter.counters(), self.alerts);
        for health in due {
            self.emitter.emit(self.context.health(health));
        }
    }

    pub(super) fn finish(self) -> EmitCounters {
        self.emitter.finish()
    }
}
