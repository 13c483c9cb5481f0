//! What the daemon says about its own life.

use schemars::JsonSchema;
use serde::Serialize;

use super::text::halve;
use crate::model::{Backend, Class};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Lifecycle {
    /// The first line of every run, written once the targets are armed.
    Started(Started),
    /// What was held already is reported: the node was looked at, after the start and before anything else is.
    SnapshotTaken(SnapshotTaken),
    /// A target appeared and is watched by its object from now on.
    TargetArmed { class: Class, target: String },
    /// A target went away. Where its name can be watched, it still is.
    TargetLost { class: Class, target: String, why: String },
    /// What runs on the node names doors that the policy does not: they are watched, too.
    TargetsFound {
        targets: Vec<FoundTarget>,
        /// Found, but too many.
        left_out: u64,
        /// What could not be found out, in sentences.
        notes: Vec<String>,
    },
    /// The policy was read again, and holds from now on.
    Reloaded {
        config_sha256: String,
        rules: usize,
        targets: usize,
        /// Rules that allow more than they seem to, in sentences.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        policy_warnings: Vec<String>,
    },
    /// The policy was read again and is not valid: the old one goes on.
    ReloadFailed {
        /// Each mistake as FILE:LINE:COLUMN and what to write instead.
        error: String,
    },
    /// Another file has the path of an executable that rules name, or the file holds something else: what runs it now is expected, unless
    /// a rule says what it has to hold. An upgrade does this, and so does whoever puts his own there.
    ExecutableReplaced {
        /// On the node.
        path: String,
        /// What it held, if that was found out in time.
        #[serde(skip_serializing_if = "Option::is_none")]
        old_sha256: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        new_sha256: Option<String>,
    },
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
    /// Rules that allow more than they seem to, in sentences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policy_warnings: Vec<String>,
}

impl Lifecycle {
    /// Halves the long strings, or else drops an entry of a list; says whether there was one.
    pub(super) fn shorten(&mut self) -> bool {
        match self {
            Self::Started(started) => {
                started.strings().fold(false, |cut, text| halve(text) | cut) || started.shorten()
            }
            Self::SnapshotTaken(taken) => taken.shorten(),
            Self::TargetArmed { target, .. } => halve(target),
            Self::TargetLost { target, why, .. } => halve(why) | halve(target),
            Self::Reloaded { policy_warnings, .. } => {
                policy_warnings.iter_mut().fold(false, |cut, text| halve(text) | cut)
                    || policy_warnings.pop().is_some()
            }
            Self::TargetsFound { targets, left_out: _, notes } => {
                let of_targets = targets.iter_mut().flat_map(|found| [&mut found.target, &mut found.from]);
                of_targets.chain(notes.iter_mut()).fold(false, |cut, text| halve(text) | cut)
                    || notes.pop().is_some()
                    || targets.pop().is_some()
            }
            Self::ReloadFailed { error } => halve(error),
            Self::ExecutableReplaced { path, .. } => halve(path),
            Self::Stopping { reason, .. } => halve(reason),
        }
    }
}

impl Started {
    /// Every string that can be long: a kernel's answer to a program it refuses is.
    fn strings(&mut self) -> impl Iterator<Item = &mut String> {
        let missing = self.hooks_missing.iter_mut().map(|hook| &mut hook.why);
        let waiting =
            self.targets_waiting.iter_mut().flat_map(|target| [&mut target.target, &mut target.why]);
        let armed = self.targets_armed.iter_mut().map(|target| &mut target.target);
        missing.chain(waiting).chain(armed).chain(&mut self.coverage_gaps).chain(&mut self.policy_warnings)
    }

    /// Drops one entry of the longest list; says whether there was one.
    fn shorten(&mut self) -> bool {
        if self.targets_waiting.len() > self.targets_armed.len() {
            self.targets_waiting.pop().is_some()
        } else if !self.targets_armed.is_empty() {
            self.targets_armed.pop().is_some()
        } else {
            self.coverage_gaps.pop().is_some()
                || self.policy_warnings.pop().is_some()
                || self.hooks_missing.pop().is_some()
        }
    }
}

/// How far the look at what was held before the start went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SnapshotTaken {
    /// Processes that were looked at.
    pub processes: u64,
    /// Processes of which some descriptor could not be looked at.
    pub unreadable: u64,
    /// Those that hold a door and that no rule expects there, and connections from elsewhere.
    pub violations: u64,
    /// Those that some rule expects.
    pub allowed: u64,
    /// Holders that are too many to report.
    pub left_out: u64,
    /// What else could not be found out, in sentences.
    pub coverage_gaps: Vec<String>,
}

impl SnapshotTaken {
    fn shorten(&mut self) -> bool {
        self.coverage_gaps.iter_mut().fold(false, |cut, gap| halve(gap) | cut)
            || self.coverage_gaps.pop().is_some()
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
pub struct FoundTarget {
    pub class: Class,
    /// Path on the node, or `tcp/PORT`.
    pub target: String,
    /// Process, and the flag or the file that says so.
    pub from: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WaitingTarget {
    pub class: Class,
    /// Path on the node, or `tcp/PORT`.
    pub target: String,
    pub why: String,
}
