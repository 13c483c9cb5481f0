//! Does the kernel still tell? The daemon does a little of everything itself, at an interval, and has to hear of it: hooks can be taken
//! away or switched off behind its back, and what is watched be removed from the kernel's tables.

use std::time::{Duration, Instant};

use crate::kernel::Kernel;
use crate::watch::prove;

/// So often.
pub(super) const PERIOD: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Canary {
    last: Instant,
    /// What did not come back last time.
    missing: Vec<String>,
}

impl Default for Canary {
    fn default() -> Self {
        Self { last: Instant::now(), missing: Vec::new() }
    }
}

impl Canary {
    /// What did not come back last time.
    pub(super) fn missing(&self) -> &[String] {
        &self.missing
    }

    /// What is missing, when that has changed since it was last said; an empty list means that all is well again.
    pub(super) fn due(&mut self, kernel: &mut Kernel) -> Option<Vec<String>> {
        if self.last.elapsed() < PERIOD {
            return None;
        }
        self.last = Instant::now();
        let mut missing = match prove(kernel) {
            Ok(proofs) => proofs.missing(),
            Err(error) => vec![error.to_string()],
        };
        match kernel.repair() {
            Ok(tables) => missing.extend(
                tables.iter().map(|table| format!("{table} that someone removed from the kernel's tables")),
            ),
            Err(error) => missing.push(error.to_string()),
        }
        let changed = missing != self.missing;
        self.missing.clone_from(&missing);
        changed.then_some(missing)
    }
}
