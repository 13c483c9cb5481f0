//! The event: one JSON object a line. Field names are a contract; a minor version only adds.

mod build;
mod detection;
mod fit;
mod health;
mod lifecycle;
mod manifest;
mod message;
mod node;
mod object;
mod posture;
mod process;
pub mod schema;
pub mod text;

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

pub use self::build::{Context, Facts};
pub use self::detection::{Attack, Detection, Rule, detections};
pub use self::fit::{LINE_MAX, line, line_by};
pub use self::health::{Health, HealthState, MISSED_RUNS};
pub use self::lifecycle::{
    ArmedTarget, FoundTarget, Lifecycle, MissingHook, SnapshotTaken, Started, WaitingTarget,
};
pub use self::manifest::{Attention, Manifest, ManifestPod};
pub(crate) use self::message::pod as described;
pub use self::object::Target;
pub use self::posture::{Evidence, Origin, Posture, Result as PostureResult};
pub use self::process::{Process, Relative};
use crate::model::{Action, Severity};
use crate::verdict::Verdict;

/// Major versions break, minor versions add.
pub const SCHEMA: &str = "1.0";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An access that no allow rule expects.
    Alert,
    /// An expected access; written only with `--show-allowed`.
    Allowed,
    /// What was open or connected already when the daemon began to watch.
    Snapshot,
    /// The outcome of a configuration check.
    Posture,
    /// Counters at an interval, and every loss at once.
    Health,
    /// The daemon's own start, stop and changes of what it watches.
    Lifecycle,
}

/// One line of output.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Event {
    /// Version of this schema, `MAJOR.MINOR`.
    pub schema: &'static str,
    pub kind: Kind,
    /// When it happened: RFC 3339, nanoseconds, UTC. For accesses the kernel's time of the hook, converted from its clock since
    /// boot; for a snapshot when the daemon looked.
    pub time: String,
    /// Unique, a UUID of version 7.
    pub id: Uuid,
    /// Counts the events of a run from 1. A gap means that events were lost.
    pub seq: u64,
    /// Identifies this run of the daemon.
    pub run_id: Uuid,
    pub node: Arc<Node>,
    pub agent: Arc<Agent>,
    pub severity: Severity,
    /// The detection that the access falls under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// One sentence for people. Untrusted parts are escaped.
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Arc<Process>>,
    /// What it was done to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// What a static pod manifest holds by now. It comes in an event of its own, after the alert of whoever wrote it, when the file
    /// has not changed for a moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Box<Manifest>>,
    /// The `id` of the event that this one adds to: of the last access before the manifest was read. It is no further access.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follows: Option<Uuid>,
    /// MITRE ATT&CK techniques.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub attack: &'static [Attack],
    /// How many accesses this event stands for, if not one: the process did the same as in an earlier event so many times
    /// more, or, in a snapshot, holds the same so many times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Before the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_time: Option<String>,
    /// Of the last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_time: Option<String>,
    /// What could not be found out, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub enrichment_errors: Vec<String>,
    /// Something was left out: the kernel's record was full, or the line would have been longer than 8 KiB.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// Static labels of the user.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Box<Lifecycle>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub posture: Option<Box<Posture>>,
}

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Node {
    /// `NODE_NAME` of the environment, else the host name.
    pub name: String,
    /// /etc/machine-id
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<String>,
    /// /proc/sys/kernel/random/boot_id
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// The kernel's release.
    pub kernel: String,
}

/// The daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Agent {
    pub version: &'static str,
    /// Which set of hooks runs; absent where none does, because only files were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<crate::model::Backend>,
    /// Hash of the policy file in force, or of the built-in profile.
    pub config_sha256: String,
}

/// How the attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outcome {
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Success,
    Failure,
    /// The hook fires before the kernel has finished the operation.
    Unknown,
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
