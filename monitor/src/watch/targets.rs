//! The targets of a run, by the numbers under which the kernel knows them.

use std::cmp::Reverse;
use std::collections::HashSet;

use crate::access::TargetId;
use crate::target::{Target, What};

/// Numbers are never used again: the kernel may still tell of a target that the policy no longer has.
#[derive(Debug, Default)]
pub struct Targets {
    list: Vec<(Target, InPolicy)>,
}

type InPolicy = bool;

impl Targets {
    pub fn new(targets: Vec<Target>) -> Self {
        Self { list: targets.into_iter().map(|target| (target, true)).collect() }
    }

    /// Takes the targets of another policy, and returns those that the one before did not have. One that was known keeps its number.
    pub fn replace(&mut self, targets: impl Iterator<Item = Target>) -> HashSet<TargetId> {
        let before: HashSet<_> = self.iter().map(|(id, _)| id).collect();
        self.list.iter_mut().for_each(|(_, in_policy)| *in_policy = false);
        for target in targets {
            match self.list.iter_mut().find(|(known, _)| *known == target) {
                Some((_, in_policy)) => *in_policy = true,
                None => self.list.push((target, true)),
            }
        }
        self.iter().map(|(id, _)| id).filter(|id| !before.contains(id)).map(TargetId).collect()
    }

    /// How many numbers there are.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    pub fn get(&self, id: TargetId) -> Option<&Target> {
        self.list.get(usize::try_from(id.0).ok()?).map(|(target, _)| target)
    }

    /// Whether the policy has it.
    pub fn has(&self, id: u32) -> bool {
        usize::try_from(id).is_ok_and(|id| self.list.get(id).is_some_and(|(_, in_policy)| *in_policy))
    }

    /// Those of the policy.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Target)> {
        (0..).zip(&self.list).filter(|(_, (_, in_policy))| *in_policy).map(|(id, (target, _))| (id, target))
    }

    /// The same, the nearest to its files first: the longer path, at the same one the pattern. What a directory and one inside it
    /// share then belongs to the latter.
    pub fn nearest_first(&self) -> Vec<(u32, &Target)> {
        let mut ordered: Vec<_> = self.iter().collect();
        ordered.sort_by_key(|(_, target)| {
            let names = target.path().map_or(0, |path| path.components().count());
            (Reverse(names), !matches!(target.what, What::Glob { .. }))
        });
        ordered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Class;

    fn target(path: &str) -> Target {
        Target { class: Class::Credential, what: What::Path(path.into()) }
    }

    #[test]
    fn numbers_are_never_used_again() {
        let mut targets = Targets::new(vec![target("/a"), target("/b")]);
        assert_eq!(targets.replace([target("/c"), target("/b")].into_iter()), [TargetId(2)].into());
        assert_eq!(targets.iter().collect::<Vec<_>>(), [(1, &target("/b")), (2, &target("/c"))]);
        assert_eq!(targets.get(TargetId(0)), Some(&target("/a")));
        assert_eq!([0, 1, 2, 3].map(|id| targets.has(id)), [false, true, true, false]);
        assert_eq!(targets.replace([target("/a")].into_iter()), [TargetId(0)].into());
        assert_eq!(targets.iter().collect::<Vec<_>>(), [(0, &target("/a"))]);
        assert_eq!(targets.count(), 3);
    }
}
