//! A process that rules allow is taken control of, or another passes itself off as one: whoever did so can use the doors in its name.

use super::Policy;
use super::process::sha256_matches;
use crate::access::{Access, Object};
use crate::event::text::escaped_bytes;
use crate::model::{Action, Class};
use crate::verdict::{Outcome, Reason, Verdict};

impl Policy<'_> {
    /// The door that the process is allowed to use in whose name another acts, and the verdict. `None` when no rule is about the process.
    pub fn control(&self, access: &Access) -> Option<(Class, Verdict)> {
        let Self { rules, exes, node: _ } = *self;
        let Object::Process(process) = &access.object else { return None };
        let rule =
            rules.iter().find(|rule| rule.process.exe.iter().any(|path| exes.is(path, &process.exe)))?;
        let class = *rule.targets.first()?;
        // One that is allowed the same gains nothing.
        let allowed = !access.actor.traced
            && sha256_matches(&rule.process.sha256, &access.actor)
            && rule.process.exe.iter().any(|path| exes.is(path, &access.actor.exe));
        let exe = escaped_bytes(&process.exe.path);
        let verdict = if allowed {
            Verdict {
                result: Outcome::Allowed,
                reason: Reason::RuleMatched,
                detail: format!("expected by rule {}", rule.id),
                matched: Some(rule.id.clone()),
            }
        } else {
            let id = &rule.id;
            let (reason, detail) = match access.action {
                Action::Masquerade => (
                    Reason::ExeMismatch,
                    format!(
                        "rule {id} allows {exe}, and the process runs another file; its accesses look allowed from now on"
                    ),
                ),
                _ => (
                    Reason::ProcessControlled,
                    format!("rule {id} allows {exe}, and whoever controls it acts in its name"),
                ),
            };
            Verdict { result: Outcome::Violation, reason, detail, matched: None }
        };
        Some((class, verdict))
    }
}
