//! What the daemon counts of its own work. No label has more values than there are detections, classes and severities: nothing that an
//! actor chooses is one.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Class, Severity};

/// Upper bounds of the histogram's buckets in seconds: hooks tell within a millisecond, what is hashed first within a second.
pub(super) const BOUNDS: [f64; 9] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0];

#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Alerts, by detection and severity.
    pub(super) alerts: BTreeMap<(&'static str, Severity), u64>,
    /// Accesses that were expected, whether or not they are written.
    pub(super) allowed: BTreeMap<Class, u64>,
    pub(super) latency: Latency,
    /// Seconds since 1970 of the last event about an access.
    pub(super) last: Option<f64>,
    pub(super) reloaded: u64,
    pub(super) reload_failed: u64,
    /// Seconds since 1970 at which the policy in force was read.
    pub(super) policy_read: Option<f64>,
}

/// How long after the access its event was handed to the writer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Latency {
    /// The last is for what is above all bounds.
    pub(super) buckets: [u64; BOUNDS.len() + 1],
    pub(super) sum: f64,
}

impl Tally {
    pub fn alert(&mut self, detection: &'static str, severity: Severity, after: Duration, now: f64) {
        *self.alerts.entry((detection, severity)).or_default() += 1;
        self.latency.add(after.as_secs_f64());
        self.last = Some(now);
    }

    pub fn allowed(&mut self, class: Class) {
        *self.allowed.entry(class).or_default() += 1;
    }

    pub fn policy(&mut self, valid: bool, now: f64) {
        if valid {
            self.reloaded += 1;
            self.policy_read = Some(now);
        } else {
            self.reload_failed += 1;
        }
    }
}

impl Latency {
    fn add(&mut self, seconds: f64) {
        let index = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[index] += 1;
        self.sum += seconds;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_fall_into_the_bucket_that_bounds_them() {
        let mut latency = Latency::default();
        [0.000_1, 0.000_5, 0.000_6, 2.0].into_iter().for_each(|seconds| latency.add(seconds));
        assert_eq!(latency.buckets, [2, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert!((latency.sum - 2.001_2).abs() < 1e-9);
    }
}
