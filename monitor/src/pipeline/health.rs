//! When to say how the daemon is: at an interval, and at once when something was lost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::emit::EmitCounters;
use crate::event::{self, HealthState, MISSED_RUNS};
use crate::kernel::Counters;

pub(super) const HEARTBEAT: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Health {
    /// Records that broke the contract with the kernel side.
    pub undecodable: u64,
    /// Times that fanotify dropped what it had to tell.
    pub overflows: u64,
    /// Mounts that ended before anyone could look where they were.
    pub brief_mounts: u64,
    /// Manifests that nobody looked at after they were written.
    pub manifests: u64,
    /// Whether a process can make the kernel skip programs.
    pub preemptible: bool,
    /// Repeated accesses whose first is not remembered.
    pub unattributed: u64,
    last_beat: Instant,
    reported: BTreeMap<String, u64>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            undecodable: 0,
            overflows: 0,
            brief_mounts: 0,
            manifests: 0,
            preemptible: false,
            unattributed: 0,
            last_beat: Instant::now(),
            reported: BTreeMap::new(),
        }
    }
}

impl Health {
    /// The events that are due now, or all that there is to say at the end of the run.
    pub(super) fn due(
        &mut self,
        kernel: Option<&Counters>,
        emitted: EmitCounters,
        alerts: u64,
        last: bool,
    ) -> Vec<event::Health> {
        let beat = self.last_beat.elapsed() >= HEARTBEAT;
        let mut losses = self.losses(kernel, emitted);
        // What the kernel skipped was rarely about a target, and where it skips, it does so all the time: once a heartbeat is enough. Elsewhere only
        // interrupts make it skip, which nobody can hide behind.
        if let Some(kernel) = kernel.filter(|_| self.preemptible && (beat || last)) {
            losses.insert(MISSED_RUNS.to_owned(), kernel.missed_runs());
        }
        let lost: BTreeMap<_, _> = losses
            .iter()
            .map(|(reason, total)| (reason.clone(), total - self.reported.get(reason).copied().unwrap_or(0)))
            .filter(|(_, new)| *new > 0)
            .collect();
        let mut due = Vec::new();
        if !lost.is_empty() {
            due.push((HealthState::Loss, lost));
        }
        if beat {
            self.last_beat = Instant::now();
            due.push((HealthState::Heartbeat, BTreeMap::new()));
        }
        let due: Vec<_> = due
            .into_iter()
            .map(|(state, lost)| event::Health {
                state,
                counters: self.counters(kernel, emitted, alerts, &losses),
                missing: if lost.contains_key(MISSED_RUNS) { skipped(kernel) } else { Vec::new() },
                lost,
                interval: HEARTBEAT.as_secs(),
            })
            .collect();
        self.reported = losses;
        due
    }

    /// What was lost since the start, by reason.
    pub(super) fn lost(&self) -> &BTreeMap<String, u64> {
        &self.reported
    }

    /// Totals by reason. A counter that cannot be read keeps its last value.
    fn losses(&self, kernel: Option<&Counters>, emitted: EmitCounters) -> BTreeMap<String, u64> {
        let mut losses = self.reported.clone();
        let EmitCounters { queued: _, written: _, dropped, failed } = emitted;
        let own = [
            ("undecodable", self.undecodable),
            ("fanotify_overflow", self.overflows),
            ("manifests_unread", self.manifests),
            ("repeats_unattributed", self.unattributed),
            ("output_queue_full", dropped),
            ("output_failed", failed),
        ];
        let kernel = kernel.into_iter().flat_map(Counters::losses);
        losses.extend(own.into_iter().chain(kernel).map(|(reason, total)| (reason.to_owned(), total)));
        losses
    }

    fn counters(
        &self,
        kernel: Option<&Counters>,
        emitted: EmitCounters,
        alerts: u64,
        losses: &BTreeMap<String, u64>,
    ) -> BTreeMap<String, u64> {
        let mut counters = losses.clone();
        let kernel_missed = kernel.map(|kernel| (MISSED_RUNS.to_owned(), kernel.missed_runs()));
        let kernel = kernel.into_iter().flat_map(Counters::iter);
        counters.extend(kernel.map(|(counter, value)| (counter.name().to_owned(), value)));
        counters.extend(kernel_missed);
        counters.insert("alerts".to_owned(), alerts);
        counters.insert("queued".to_owned(), emitted.queued);
        counters.insert("written".to_owned(), emitted.written);
        // No loss by itself: container runtimes make such mounts elsewhere whenever a container starts.
        counters.insert("brief_mounts".to_owned(), self.brief_mounts);
        counters
    }
}

/// What the kernel skipped since the start, by program.
fn skipped(kernel: Option<&Counters>) -> Vec<String> {
    let programs = kernel.map(Counters::missed_by_program).unwrap_or_default();
    programs.iter().map(|(program, runs)| format!("{program}: {runs} runs")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_reported_once_and_at_once() {
        let mut health = Health::default();
        assert!(health.due(None, EmitCounters::default(), 0, false).is_empty());
        let emitted = EmitCounters { dropped: 3, ..EmitCounters::default() };
        let due = health.due(None, emitted, 7, false);
        assert_eq!(due.len(), 1);
        assert_eq!(due[0].state, HealthState::Loss);
        assert_eq!(due[0].lost, BTreeMap::from([("output_queue_full".to_owned(), 3)]));
        assert_eq!(due[0].counters["alerts"], 7);
        assert!(health.due(None, emitted, 7, false).is_empty());
    }

    #[test]
    fn skipped_programs_are_reported_at_the_end() {
        let kernel = Counters::of_missed("file_open_fentry", 5);
        assert!(Health::default().due(Some(&kernel), EmitCounters::default(), 0, true).is_empty());
        let mut health = Health { preemptible: true, ..Health::default() };
        assert!(health.due(Some(&kernel), EmitCounters::default(), 0, false).is_empty());
        let due = health.due(Some(&kernel), EmitCounters::default(), 0, true);
        assert_eq!(due[0].lost, BTreeMap::from([("missed_runs".to_owned(), 5)]));
        assert_eq!(due[0].missing, ["file_open_fentry: 5 runs"]);
    }

    #[test]
    fn a_heartbeat_comes_after_its_interval() {
        let long_ago = Instant::now().checked_sub(HEARTBEAT).unwrap();
        let mut health = Health { last_beat: long_ago, ..Health::default() };
        let due = health.due(None, EmitCounters::default(), 2, false);
        assert_eq!(due.len(), 1);
        assert_eq!((due[0].state, due[0].interval), (HealthState::Heartbeat, 60));
        assert!(due[0].lost.is_empty());
        assert!(health.due(None, EmitCounters::default(), 2, false).is_empty());
    }
}
