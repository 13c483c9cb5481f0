//! One access in the counts of whoever it is counted for.

use crate::model::{Class, Severity};

pub(super) struct Tally {
    pub is_violation: bool,
    pub count: u64,
    pub severity: Severity,
    pub class: Class,
}

impl Tally {
    pub fn add(
        &self,
        violations: &mut u64,
        allowed: &mut u64,
        worst: &mut Option<Severity>,
        classes: &mut Vec<Class>,
    ) {
        if self.is_violation {
            *violations = violations.saturating_add(self.count);
            *worst = (*worst).max(Some(self.severity));
        } else {
            *allowed = allowed.saturating_add(self.count);
        }
        if !classes.contains(&self.class) {
            classes.push(self.class);
        }
    }
}
