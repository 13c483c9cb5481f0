//! Which files of the node the executables are that rules name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::access::{Executable, ObjectKey};
use crate::config::Rule;
use crate::node::FileId;

/// A file as it was found on the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFile {
    /// Its path with all symbolic links resolved.
    pub path: PathBuf,
    /// The kernel's objects; overlayfs shows two for one file.
    pub keys: Vec<ObjectKey>,
    /// What stat(2) shows of it.
    pub id: Option<FileId>,
}

/// By the path that a rule names. Filled by whoever can look at the node; without a file, a path matches nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExeTable {
    files: BTreeMap<PathBuf, Option<NodeFile>>,
}

impl ExeTable {
    pub fn new(rules: &[Rule]) -> Self {
        let paths = rules.iter().flat_map(|rule| rule.process.exe.iter().chain(&rule.process.ancestors));
        Self { files: paths.map(|path| (path.clone(), None)).collect() }
    }

    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    pub fn set(&mut self, path: &Path, file: Option<NodeFile>) {
        if let Some(known) = self.files.get_mut(path) {
            *known = file;
        }
    }

    /// The kernel's objects of all executables.
    pub fn keys(&self) -> impl Iterator<Item = ObjectKey> {
        self.files.values().flatten().flat_map(|file| file.keys.iter().copied())
    }

    /// The objects by what stat(2) shows of them.
    pub fn ids(&self) -> impl Iterator<Item = (FileId, ObjectKey)> {
        self.files.values().flatten().filter_map(|file| Some((file.id?, *file.keys.first()?)))
    }

    /// Whether it is the node's file of that path. The object alone is not enough: file systems give the number of a
    /// removed file to the next one, and a hard link elsewhere is not what the rule names.
    pub(super) fn is(&self, path: &Path, exe: &Executable) -> bool {
        let (Some(key), Some(Some(file))) = (exe.key, self.files.get(path)) else { return false };
        !exe.deleted && file.keys.contains(&key) && same(&file.path, exe)
    }

    /// Whether it is called what the rule names, whatever file it is.
    pub(super) fn is_called(&self, path: &Path, exe: &Executable) -> bool {
        let found = self.files.get(path).and_then(Option::as_ref);
        same(path, exe) || found.is_some_and(|file| same(&file.path, exe))
    }
}

fn same(path: &Path, exe: &Executable) -> bool {
    path.as_os_str().as_encoded_bytes() == exe.path
}
