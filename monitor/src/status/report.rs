//! What is told.

use std::collections::BTreeMap;

use super::Tally;
use crate::emit::EmitCounters;
use crate::model::{Backend, Class};

#[derive(Clone, Debug, Default)]
pub struct Report {
    pub backend: Option<Backend>,
    /// Whether each hook is attached.
    pub hooks: BTreeMap<String, bool>,
    pub targets: BTreeMap<Class, Targets>,
    /// What does not come back although the daemon did it itself.
    pub missing: Vec<String>,
    /// The kernel side's counters, by name.
    pub kernel: BTreeMap<&'static str, u64>,
    /// Lost accesses and events, by reason, as in `health` events.
    pub lost: BTreeMap<String, u64>,
    pub emitted: EmitCounters,
    pub tally: Tally,
    /// Alerts that were not written because there were too many, by detection.
    pub left_out: BTreeMap<&'static str, u64>,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    pub armed: u64,
    pub waiting: u64,
}
