//! How the daemon is.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Health {
    pub state: HealthState,
    /// Since the start of the run, by name: `hits` (accesses that matched a watch), `emitted` (records from the kernel), `own`
    /// (the daemon's own accesses, left out), `alerts`, `queued` (events that wait to be written), `written` (events), `missed_runs` (times the kernel skipped a program
    /// that was interrupted by itself), and each reason of `lost`.
    pub counters: BTreeMap<String, u64>,
    /// Accesses and events lost since the last `health` event, by reason. Empty in a heartbeat: a loss is reported at once.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub lost: BTreeMap<String, u64>,
    /// Seconds between heartbeats.
    pub interval: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    Heartbeat,
    Loss,
}
