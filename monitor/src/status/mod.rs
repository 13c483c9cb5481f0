//! How the daemon is, for whoever asks: Kubernetes' probes, Prometheus and systemd. It is what the daemon last said of itself, a second
//! ago at most, so that nobody who asks keeps it from its work.

mod http;
mod metrics;
mod own;
mod report;
pub mod systemd;
mod tally;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use self::http::Server;
pub use self::report::{Report, Targets};
pub use self::tally::Tally;

/// A daemon that did not come round for so long hangs. Looks at the node take a part of a second.
const PULSE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub struct Status(Arc<Mutex<Latest>>);

#[derive(Debug)]
struct Latest {
    report: Report,
    at: Instant,
}

impl Status {
    pub fn new(report: Report) -> Self {
        Self(Arc::new(Mutex::new(Latest { report, at: Instant::now() })))
    }

    pub fn set(&self, report: Report) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Latest { report, at: Instant::now() };
    }

    fn with<T>(&self, read: impl FnOnce(&Latest) -> T) -> T {
        read(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Why it is of no use to go on waiting for it.
    fn dead(&self) -> Option<String> {
        dead(self.with(|latest| latest.at.elapsed()))
    }

    /// What keeps it from seeing what it is to see.
    fn not_ready(&self) -> Vec<String> {
        self.with(|latest| {
            let Report { missing, targets, .. } = &latest.report;
            let mut why: Vec<_> = missing.iter().map(|what| format!("not seen: {what}")).collect();
            if targets.values().all(|targets| targets.armed == 0) {
                why.push("no target is there to be watched".to_owned());
            }
            why.extend(dead(latest.at.elapsed()));
            why
        })
    }
}

fn dead(age: Duration) -> Option<String> {
    (age >= PULSE).then(|| format!("no sign of the event loop for {} s", age.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Class;

    fn armed() -> Report {
        let targets = [(Class::RuntimeApi, Targets { armed: 1, waiting: 2 })].into();
        Report { targets, ..Report::default() }
    }

    #[test]
    fn ready_is_who_watches_something_and_misses_nothing() {
        let status = Status::new(armed());
        assert!(status.not_ready().is_empty());
        status.set(Report { missing: vec!["security_file_open".to_owned()], ..armed() });
        assert_eq!(status.not_ready(), ["not seen: security_file_open"]);
        status.set(Report::default());
        assert_eq!(status.not_ready(), ["no target is there to be watched"]);
    }

    #[test]
    fn who_does_not_come_round_is_dead() {
        assert_eq!(dead(Duration::from_secs(29)), None);
        assert_eq!(dead(Duration::from_secs(31)).as_deref(), Some("no sign of the event loop for 31 s"));
        assert_eq!(Status::new(armed()).dead(), None);
    }
}
