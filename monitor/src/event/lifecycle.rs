//! What the daemon says about its own life.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{Backend, Class};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Lifecycle {
    /// The first line of every run, written once the targets are armed.
    Started(Started),
    /// A target appeared and is watched by its object from now on.
    TargetArmed { class: Class, target: String },
    /// A target went away. Where its name can be watched, it still is.
    TargetLost { class: Class, target: String, why: String },
    /// The last line of a run that ends in order.
    Stopping {
        reason: String,
        /// Alerts of this run.
        alerts: u64,
    },
}

/// What this run sees and what it does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Started {
    pub backend: Backend,
    /// Places in the kernel where a program is attached.
    pub hooks: Vec<String>,
    pub hooks_missing: Vec<MissingHook>,
    /// Watched by what the kernel itself showed of them.
    pub targets_armed: Vec<ArmedTarget>,
    /// Not there yet, or not what they should be.
    pub targets_waiting: Vec<WaitingTarget>,
    /// What cannot be seen, in sentences.
    pub coverage_gaps: Vec<String>,
}

impl Started {
    /// Drops one entry of the longest list; says whether there was one.
    pub(super) fn shorten(&mut self) -> bool {
        if self.targets_waiting.len() > self.targets_armed.len() {
            self.targets_waiting.pop().is_some()
        } else if !self.targets_armed.is_empty() {
            self.targets_armed.pop().is_some()
        } else {
            self.coverage_gaps.pop().is_some() || self.hooks_missing.pop().is_some()
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MissingHook {
    pub hook: String,
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ArmedTarget {
    pub class: Class,
    /// Path on the node, or `tcp/PORT`.
    pub target: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WaitingTarget {
    pub class: Class,
    /// Path on the node, or `tcp/PORT`.
    pub target: String,
    pub why: String,
}
