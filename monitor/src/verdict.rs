//! What was decided about an access, and why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Violation,
    Allowed,
}

/// Why, as a code that rules in a SIEM can match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// An allow rule matched.
    RuleMatched,
    /// No rule is about this class of target.
    NoRuleForTarget,
    /// Rules are about the target, but none about this kind of access.
    AccessNotAllowed,
    /// The executable is not the file any rule for the target names.
    ExeMismatch,
    /// The executable has the path a rule names, but is another file (a copy, a container's own, mounted over).
    ExeNotNodeFile,
    /// The executable's content is another than the rule says, or not known.
    Sha256Mismatch,
    /// The executable matches, the user id does not.
    UidMismatch,
    /// The executable matches, the systemd unit does not.
    UnitMismatch,
    /// The executable matches, the namespaces it is in do not.
    NamespaceMismatch,
    /// The process matches, its arguments do not, or are not known whole.
    ArgsMismatch,
    /// The process matches, those that started it do not.
    AncestorMismatch,
    /// The process matches, the address it connects to does not.
    DestinationMismatch,
    /// Rules name containers, and the process is in none of them.
    ContainerMismatch,
    /// The process is in a container of which it is not certain which it is.
    ContainerUnknown,
    /// Another process has control of the one that a rule allows, or was about to take it.
    ProcessControlled,
    /// No rule expects connections from that address.
    SourceMismatch,
    /// The connection comes from this node, and nobody on it was seen to begin it: address translation leads to the door, or somebody
    /// writes packets himself.
    ClientUnseen,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    pub result: Outcome,
    pub reason: Reason,
    /// One sentence for people.
    pub detail: String,
    /// The id of the allow rule that matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matched: Option<String>,
}

impl Verdict {
    /// Of a connection from this node that nobody was seen to begin. No rule is about those.
    pub fn client_unseen() -> Self {
        Self {
            result: Outcome::Violation,
            reason: Reason::ClientUnseen,
            detail: "it comes from this node, and nobody was seen to connect here: it was led here by address translation, or made without a socket"
                .to_owned(),
            matched: None,
        }
    }

    pub fn is_violation(&self) -> bool {
        self.result == Outcome::Violation
    }
}
