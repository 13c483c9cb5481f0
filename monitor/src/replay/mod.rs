//! Deciding recorded accesses again, by another policy, without a kernel.
//!
//! A record does not have everything that a running daemon knows: symbolic links of the node are not followed, so rules match paths as
//! they were recorded, and which targets are watched changes nothing.

mod recorded;
mod suggest;
mod suspect;
mod tools;

use std::path::Path;

pub use self::recorded::Recorded;
pub use self::suggest::suggest;
pub use self::suspect::suspect;
use crate::config::Rule;
use crate::decide::{ExeTable, Policy, Tried};
use crate::verdict::{Outcome, Reason, Verdict};
use serde_json::Value;

/// Whether an event is about an access, and not about the daemon.
pub fn is_about_access(event: &Value) -> bool {
    matches!(event["kind"].as_str(), Some("alert" | "allowed" | "snapshot"))
}

/// Whether it is the event of an access, and not one that adds to another.
pub fn is_access(event: &Value) -> bool {
    is_about_access(event) && event["follows"].is_null()
}

/// What the rules say of it.
pub fn decide(rules: &[Rule], recorded: &Recorded) -> Verdict {
    if recorded.verdict.reason == Reason::ClientUnseen {
        return Verdict::client_unseen();
    }
    let exes = files(rules, recorded);
    let policy = Policy { rules, exes: &exes, node: recorded::NODE };
    let access = recorded.access();
    match policy.control(&access) {
        Some((_, verdict)) => verdict,
        None if matches!(access.object, crate::access::Object::Process(_)) => Verdict {
            result: Outcome::Allowed,
            reason: Reason::NoRuleForTarget,
            detail: "no rule is about the process that was taken control of".to_owned(),
            matched: None,
        },
        None => policy.decide(recorded.target.class, &access, &recorded.whose()),
    }
}

/// How each rule about the target fared.
pub fn tried(rules: &[Rule], recorded: &Recorded) -> Vec<Tried> {
    let exes = files(rules, recorded);
    let policy = Policy { rules, exes: &exes, node: recorded::NODE };
    policy.tried(recorded.target.class, &recorded.access(), &recorded.whose())
}

fn files(rules: &[Rule], recorded: &Recorded) -> ExeTable {
    let mut exes = ExeTable::new(rules);
    for (path, file) in recorded.files() {
        exes.set(Path::new(&path), Some(file));
    }
    exes
}

/// Replaces parts of an event, for tests.
#[cfg(test)]
pub(crate) fn merge(event: &mut Value, changes: &Value) {
    match (event, changes) {
        (Value::Object(event), Value::Object(changes)) => {
            for (key, change) in changes {
                merge(event.entry(key).or_insert(Value::Null), change);
            }
        }
        (event, change) => *event = change.clone(),
    }
}

#[cfg(test)]
mod tests;
