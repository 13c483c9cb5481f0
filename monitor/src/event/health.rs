//! How the daemon is.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

/// The reason of a loss that says how many times the kernel did not run a program.
pub const MISSED_RUNS: &str = "missed_runs";

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Health {
    pub state: HealthState,
    /// Since the start of the run, by name: `hits` (accesses that matched a watch), `emitted` (records from the kernel), `own`
    /// (the daemon's own accesses, left out), `alerts`, `queued` (events that wait to be written), `written` (events), `missed_runs`, and each reason of `lost`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<String, u64>,
    /// Accesses and events lost since the last `health` event, by reason. Empty in a heartbeat: a loss is reported at once. `missed_runs`
    /// are times the kernel skipped a program, because it had interrupted a run of the same one; whether a watched object was used
    /// is not known. They are a loss where a process can bring that about, reported once a heartbeat and at the end; elsewhere a counter.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub lost: BTreeMap<String, u64>,
    /// What is not seen, in a `blind` event. The programs that the kernel skipped since the start, in a `loss` event with `missed_runs`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Seconds between heartbeats.
    pub interval: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    #[default]
    Heartbeat,
    Loss,
    /// Something that the daemon did itself was not seen by the hooks: nothing of its kind is seen any more.
    Blind,
    /// All that the daemon does is seen again.
    Recovered,
}
