//! Which files of the node the executables are that rules name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::access::{Executable, ObjectKey};
use crate::config::Rule;
use crate::hash::Digest;
use crate::node::{Fates, FileId};

/// Files that had a path before. More are not run at a time.
const FORMER_MAX: usize = 4;

/// A file as it was found on the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFile {
    /// Its path with all symbolic links resolved.
    pub path: PathBuf,
    /// The kernel's objects; overlayfs shows two for one file.
    pub keys: Vec<ObjectKey>,
    /// What stat(2) shows of it.
    pub id: Option<FileId>,
    /// Size and time of the last change of its content.
    pub written: Option<(i64, i64, i64)>,
    /// Its end would be told, so that the objects are its own until then, whether it has a name or not.
    pub followed: bool,
}

/// By the path that a rule names. Filled by whoever can look at the node; without a file, a path matches nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExeTable {
    files: BTreeMap<PathBuf, Entry>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    /// What is there.
    file: Option<NodeFile>,
    /// What is there, or was last.
    last: Option<NodeFile>,
    /// Of the last, when it was found out.
    digest: Option<Digest>,
    /// What was there before and still exists, because someone runs it.
    former: Vec<NodeFile>,
}

/// What a look at a path found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    None,
    /// It was not known before.
    New,
    /// It is not what was there before, which had this content.
    Replaced(Option<Digest>),
}

impl ExeTable {
    pub fn new(rules: &[Rule]) -> Self {
        let paths = rules.iter().flat_map(|rule| rule.process.exe.iter().chain(&rule.process.ancestors));
        Self { files: paths.map(|path| (path.clone(), Entry::default())).collect() }
    }

    /// For other rules. What is known of the same paths stays.
    pub fn for_rules(&self, rules: &[Rule]) -> Self {
        let mut table = Self::new(rules);
        for (path, entry) in &mut table.files {
            *entry = self.files.get(path).cloned().unwrap_or_default();
        }
        table
    }

    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// The file at a path.
    pub fn file(&self, path: &Path) -> Option<&NodeFile> {
        self.files.get(path)?.file.as_ref()
    }

    pub fn set(&mut self, path: &Path, file: Option<NodeFile>) -> Change {
        let Some(entry) = self.files.get_mut(path) else { return Change::None };
        entry.file.clone_from(&file);
        let Some(file) = file else { return Change::None };
        let before = entry.last.replace(file.clone());
        let Some(before) = before else { return Change::New };
        if before.keys == file.keys && before.written == file.written {
            return Change::None;
        }
        if before.keys != file.keys && before.followed {
            entry.former.push(before);
            let surplus = entry.former.len().saturating_sub(FORMER_MAX);
            entry.former.drain(..surplus);
        }
        Change::Replaced(entry.digest.take())
    }

    /// Notes what the file at a path holds, if it is still this.
    pub fn learn(&mut self, path: &Path, keys: &[ObjectKey], digest: Option<Digest>) {
        if let Some(entry) = self.files.get_mut(path)
            && entry.last.as_ref().is_some_and(|last| last.keys == keys)
        {
            entry.digest = digest;
        }
    }

    /// Forgets objects whose numbers are others' by now, or may be.
    pub fn forget(&mut self, fates: &Fates) {
        let gone = |file: &NodeFile, keys: &[ObjectKey]| file.keys.iter().any(|key| keys.contains(key));
        for entry in self.files.values_mut() {
            let lost = |file: &NodeFile| fates.unknown || gone(file, &fates.ended);
            // Nobody runs a file that is written to, and what runs it afterwards runs something else.
            entry.former.retain(|file| !lost(file) && !gone(file, &fates.written));
            if !fates.unknown {
                entry.file.take_if(|file| lost(file));
            }
            if let Some(last) = entry.last.as_mut().filter(|last| lost(last)) {
                last.followed = false;
                if !fates.unknown {
                    last.keys.clear();
                }
            }
        }
    }

    /// The kernel's objects of all executables.
    pub fn keys(&self) -> impl Iterator<Item = ObjectKey> {
        self.all().flat_map(|file| file.keys.iter().copied())
    }

    /// The path of the file with this object.
    pub fn path_of(&self, key: ObjectKey) -> Option<&Path> {
        self.all().find(|file| file.keys.contains(&key)).map(|file| file.path.as_path())
    }

    /// The objects by what stat(2) shows of them.
    pub fn ids(&self) -> impl Iterator<Item = (FileId, ObjectKey)> {
        self.all().filter_map(|file| Some((file.id?, *file.keys.first()?)))
    }

    fn all(&self) -> impl Iterator<Item = &NodeFile> {
        self.files.values().flat_map(|entry| entry.former.iter().chain(&entry.last))
    }

    /// Whether it is the node's file of that path. The object alone is not enough: file systems give the number of a
    /// removed file to the next one, and a hard link elsewhere is not what the rule names. One that was there before is known
    /// by its object as long as that exists.
    pub(super) fn is(&self, path: &Path, exe: &Executable) -> bool {
        let (Some(key), Some(entry)) = (exe.key, self.files.get(path)) else { return false };
        let fits = |file: &NodeFile| file.keys.contains(&key) && same(&file.path, exe);
        let there =
            if exe.deleted { entry.last.as_ref().filter(|last| last.followed) } else { entry.file.as_ref() };
        there.is_some_and(fits) || entry.former.iter().any(fits)
    }

    /// Whether it is that file by its object, whatever path it has now: a process keeps it, and the path can be changed back.
    pub(super) fn is_object(&self, path: &Path, exe: &Executable) -> bool {
        let (Some(key), Some(entry)) = (exe.key, self.files.get(path)) else { return false };
        entry.former.iter().chain(&entry.last).any(|file| file.keys.contains(&key))
    }

    /// Whether it is called what the rule names, whatever file it is.
    pub(super) fn is_called(&self, path: &Path, exe: &Executable) -> bool {
        let found = self.files.get(path).and_then(|entry| entry.last.as_ref());
        same(path, exe) || found.is_some_and(|file| same(&file.path, exe))
    }
}

fn same(path: &Path, exe: &Executable) -> bool {
    path.as_os_str().as_encoded_bytes() == exe.path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Processes;
    use crate::model::Class;

    const PATH: &str = "/usr/bin/kubelet";

    fn table() -> ExeTable {
        let process = Processes { exe: vec![PATH.into()], ..Processes::default() };
        ExeTable::new(&[Rule {
            id: "a".to_owned(),
            targets: vec![Class::RuntimeApi],
            access: None,
            process,
            container: None,
            source: vec![],
            destination: vec![],
        }])
    }

    fn key(ino: u64) -> ObjectKey {
        ObjectKey::new(1, ino)
    }

    fn file(ino: u64) -> Option<NodeFile> {
        Some(NodeFile { path: PATH.into(), keys: vec![key(ino)], followed: true, ..NodeFile::default() })
    }

    fn is(table: &ExeTable, ino: u64, deleted: bool) -> bool {
        let exe = Executable { key: Some(key(ino)), path: PATH.into(), deleted };
        table.is(PATH.as_ref(), &exe)
    }

    #[test]
    fn what_was_replaced_is_known_while_it_exists() {
        let mut table = table();
        let path = Path::new(PATH);
        assert_eq!(table.set(path, file(1)), Change::New);
        assert_eq!(table.set(path, file(1)), Change::None);
        // It has lost its name, and nothing has it instead yet.
        assert!(is(&table, 1, false) && is(&table, 1, true) && !is(&table, 2, true));
        table.learn(path, &[key(2)], Some(Digest([2; 32])));
        table.learn(path, &[key(1)], Some(Digest([1; 32])));
        assert_eq!(table.set(path, None), Change::None);
        assert!(!is(&table, 1, false) && is(&table, 1, true));
        assert_eq!(table.set(path, file(2)), Change::Replaced(Some(Digest([1; 32]))));
        assert!(is(&table, 1, true) && is(&table, 1, false) && is(&table, 2, false));
        let elsewhere = Executable { key: Some(key(1)), path: "/tmp/kubelet".into(), deleted: true };
        assert!(!table.is(path, &elsewhere));
        table.forget(&Fates { ended: vec![key(1)], ..Fates::default() });
        assert!(!is(&table, 1, true) && is(&table, 2, false) && is(&table, 2, true));
        // Its number was given to the next one.
        table.forget(&Fates { ended: vec![key(2)], ..Fates::default() });
        assert!(!is(&table, 2, true) && !is(&table, 2, false));
        assert_eq!(table.set(path, file(2)), Change::Replaced(None));
        assert!(is(&table, 2, false));
    }

    #[test]
    fn what_was_written_or_lost_sight_of_is_not_known_any_more() {
        for fates in
            [Fates { written: vec![key(1)], ..Fates::default() }, Fates { unknown: true, ..Fates::default() }]
        {
            let mut table = table();
            table.set(Path::new(PATH), file(1));
            table.set(Path::new(PATH), file(2));
            table.forget(&fates);
            assert!(!is(&table, 1, true) && is(&table, 2, false), "{fates:?}");
            assert_eq!(is(&table, 2, true), !fates.unknown);
        }
    }

    #[test]
    fn another_content_of_the_same_file_is_told() {
        let mut table = table();
        let written = |size| file(1).map(|file| NodeFile { written: Some((size, 0, 0)), ..file });
        table.set(Path::new(PATH), written(1));
        assert_eq!(table.set(Path::new(PATH), written(2)), Change::Replaced(None));
        assert_eq!(table.files[Path::new(PATH)].former, []);
    }

    #[test]
    fn other_rules_keep_what_is_known() {
        let mut table = table();
        table.set(Path::new(PATH), file(1));
        table.set(Path::new(PATH), file(2));
        let rules = [Rule {
            id: "b".to_owned(),
            targets: vec![],
            access: None,
            process: Processes { exe: vec![PATH.into(), "/x".into()], ..Processes::default() },
            container: None,
            source: vec![],
            destination: vec![],
        }];
        let other = table.for_rules(&rules);
        assert!(is(&other, 1, true) && is(&other, 2, false));
        assert_eq!(other.paths().count(), 2);
    }
}
