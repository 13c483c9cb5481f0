//! A process that rules allow is taken control of, or another passes itself off as one: whoever did so can use the doors in its name.

use super::Policy;
use super::process::sha256_matches;
use crate::access::{Access, Object};
use crate::config::Rule;
use crate::event::text::escaped_bytes;
use crate::model::{Action, Class};
use crate::verdict::{Outcome, Reason, Verdict};

impl Policy<'_> {
    /// The door that the process is allowed to use in whose name another acts, and the verdict. `None` when no rule is about the process.
    pub fn control(&self, access: &Access) -> Option<(Class, Verdict)> {
        let Object::Process(process) = &access.object else { return None };
        let names = |rule: &&Rule| {
            let mut paths = rule.process.exe.iter().chain(&rule.process.ancestors);
            paths.any(|path| self.exes.is_object(path, &process.exe))
        };
        let rules: Vec<_> = self.rules.iter().filter(names).collect();
        // Whoever is allowed the same by every one of them gains nothing.
        let rule = rules.iter().find(|rule| !self.has_itself(rule, access)).or(rules.first())?;
        let class = *rule.targets.first()?;
        let (id, exe) = (&rule.id, escaped_bytes(&process.exe.path));
        if self.has_itself(rule, access) {
            let detail = format!("expected by rule {id}");
            let matched = Some(id.clone());
            return Some((
                class,
                Verdict { result: Outcome::Allowed, reason: Reason::RuleMatched, detail, matched },
            ));
        }
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
        Some((class, Verdict { result: Outcome::Violation, reason, detail, matched: None }))
    }

    /// Whether a rule is about the executable that the actor runs.
    fn has_itself(&self, rule: &Rule, access: &Access) -> bool {
        !access.actor.traced
            && sha256_matches(&rule.process.sha256, &access.actor)
            && rule.process.exe.iter().any(|path| self.exes.is(path, &access.actor.exe))
    }
}
