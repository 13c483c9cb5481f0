//! What the daemon tells of itself to those who ask.

use std::collections::BTreeMap;
use std::time::Duration;

use super::handler::Handler;
use crate::access::Access;
use crate::clock;
use crate::event::Event;
use crate::kernel::{Counters, HookState};
use crate::status::{Report, Status, Targets};
use crate::watch::State;

impl Handler {
    /// From now on it is told there, too.
    pub fn tell_status(&mut self, status: Status) {
        self.status = Some(status);
    }

    /// By counters that were just read.
    pub(super) fn report_status(&self, kernel: Option<&Counters>) {
        if let Some(status) = &self.status {
            status.set(self.report_by(kernel));
        }
    }

    /// How it is now.
    pub fn how_it_is(&self) -> Report {
        self.report_by(self.kernel.counters().ok().as_ref())
    }

    fn report_by(&self, kernel: Option<&Counters>) -> Report {
        let chosen = &self.kernel.attached().chosen;
        let mut hooks = BTreeMap::new();
        for hook in &chosen.hooks {
            // One place may have more than one program.
            *hooks.entry(hook.place.to_owned()).or_insert(true) &= hook.state == HookState::Attached;
        }
        let mut targets: BTreeMap<_, Targets> = BTreeMap::new();
        for (target, state) in self.keeper.states() {
            let targets = targets.entry(target.class).or_default();
            *(if *state == State::Armed { &mut targets.armed } else { &mut targets.waiting }) += 1;
        }
        let kernel = kernel.into_iter().flat_map(Counters::iter);
        Report {
            backend: Some(chosen.backend),
            hooks,
            targets,
            missing: self.canary.missing().to_vec(),
            kernel: kernel.map(|(counter, value)| (counter.name(), value)).collect(),
            lost: self.health.lost().clone(),
            emitted: self.emitter.counters(),
            tally: self.tally.clone(),
            left_out: self.limits.left_out.clone(),
        }
    }

    pub(super) fn count_alert(&mut self, access: &Access, event: &Event) {
        let after = clock::since_boot().saturating_sub(access.boottime);
        if let Some(rule) = event.rule {
            self.tally.alert(rule.id, event.severity, Duration::from_nanos(after), self.now());
        }
    }

    pub(super) fn count_policy(&mut self, valid: bool) {
        self.tally.policy(valid, self.now());
    }

    /// Seconds since 1970.
    fn now(&self) -> f64 {
        self.context.clock.since_1970(clock::since_boot()) as f64 / 1e9
    }
}
