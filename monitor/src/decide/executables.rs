//! Which kernel objects the executables are that rules name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::access::{Actor, ObjectKey};
use crate::config::Rule;

/// By path on the node. Filled by whoever can look at the node; a path without objects matches nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExeTable {
    objects: BTreeMap<PathBuf, Vec<ObjectKey>>,
}

impl ExeTable {
    pub fn new(rules: &[Rule]) -> Self {
        let paths = rules.iter().flat_map(|rule| &rule.exe);
        Self { objects: paths.map(|path| (path.clone(), Vec::new())).collect() }
    }

    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.objects.keys().map(PathBuf::as_path)
    }

    pub fn set(&mut self, path: &Path, keys: Vec<ObjectKey>) {
        if let Some(objects) = self.objects.get_mut(path) {
            *objects = keys;
        }
    }

    /// Empty for a path that no rule names.
    pub fn keys(&self, path: &Path) -> &[ObjectKey] {
        self.objects.get(path).map_or(&[], Vec::as_slice)
    }

    /// Whether the actor runs the node's file of that path. A file without a name left is not it: its inode number may be
    /// another file's by now.
    pub(super) fn is(&self, path: &Path, actor: &Actor) -> bool {
        let Some(key) = actor.exe.key else { return false };
        !actor.exe.deleted && self.keys(path).contains(&key)
    }
}
