//! What the daemon says of itself and of the node.

use serde::Deserialize;

use crate::event::PostureResult;

/// What any of its states says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Lifecycle {
    pub state: String,
    pub hooks_missing: Vec<MissingHook>,
    pub targets_armed: Vec<WatchedTarget>,
    pub targets_waiting: Vec<WatchedTarget>,
    pub coverage_gaps: Vec<String>,
    pub policy_warnings: Vec<String>,
    pub unreadable: u64,
    pub left_out: u64,
    pub notes: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct MissingHook {
    pub hook: String,
    pub why: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct WatchedTarget {
    pub target: String,
    pub why: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Health {
    pub state: String,
    pub lost: std::collections::BTreeMap<String, u64>,
    pub missing: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub struct Posture {
    pub result: PostureResult,
    #[serde(default)]
    pub detail: String,
    #[serde(default)]
    pub evidence: Vec<Evidence>,
    #[serde(default)]
    pub omitted: u64,
    #[serde(default)]
    pub mitigation: String,
    #[serde(default)]
    pub cis: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Evidence {
    pub origin: String,
    pub process: Option<String>,
    pub file: Option<String>,
    pub key: String,
    pub value: Option<String>,
}
