//! What a look at the node's settings found. One event a check.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{halve, lossless};
use crate::model::Class;

/// The outcome of a check, with what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Posture {
    pub result: Result,
    /// The door that it is about.
    pub class: Class,
    /// Why, in words.
    pub detail: String,
    /// What was read, the worst first.
    pub evidence: Vec<Evidence>,
    /// How much of the evidence is left out.
    #[serde(skip_serializing_if = "is_zero")]
    pub omitted: u64,
    /// What to do about it.
    pub mitigation: &'static str,
    /// Recommendations of the CIS Kubernetes Benchmark 1.12 that are about the same.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub cis: &'static [&'static str],
}

/// The later one is worse, and of several things that a check finds the worst counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "PostureResult")]
pub enum Result {
    /// The node does not have what the check is about.
    NotApplicable,
    Pass,
    /// It could not be found out.
    Unknown,
    Warn,
    Fail,
}

/// One thing that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Evidence {
    /// What it says for itself.
    pub result: Result,
    pub origin: Origin,
    /// The process whose setting it is, as `kubelet[812]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// On the node, or as the process sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_b64: Option<String>,
    /// The setting or the property.
    pub key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Where a setting is from. What comes earlier goes over what comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    Flag,
    Environment,
    DropIn,
    File,
    /// Nobody set it.
    Default,
    /// No setting, but what is there: an owner, a mode, a socket that listens.
    Node,
}

impl Result {
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotApplicable => "not_applicable",
            Self::Pass => "pass",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl Origin {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::DropIn => "drop-in",
            Self::File => "file",
            Self::Default => "default",
            Self::Node => "node",
        }
    }
}

impl Evidence {
    pub fn at(mut self, file: &[u8]) -> Self {
        let (text, exact) = lossless(file);
        (self.file, self.file_b64) = (Some(text), exact);
        self
    }
}

impl Posture {
    /// Halves the long strings, or else drops a piece of evidence; says whether there was one.
    pub(super) fn shorten(&mut self) -> bool {
        let of_evidence = self.evidence.iter_mut().flat_map(|evidence| {
            let Evidence { result: _, origin: _, process: _, file, file_b64, key, value } = evidence;
            [file, file_b64, value].into_iter().flatten().chain([key])
        });
        let cut =
            [&mut self.detail].into_iter().chain(of_evidence).fold(false, |cut, text| halve(text) | cut);
        if cut {
            // Half of an encoding is none.
            self.evidence.iter_mut().for_each(|evidence| evidence.file_b64 = None);
            return true;
        }
        self.omitted += u64::from(!self.evidence.is_empty());
        self.evidence.pop().is_some()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
