//! Files that got the number of a watched one. Until the daemon has looked, the kernel side takes them for it.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::place::bytes;
use super::plan::Plan;
use crate::access::{FileObject, last_name};
use crate::node::{self, Root};

/// What is told may have to wait behind what was told before it.
const KEPT: Duration = Duration::from_secs(2);

/// Of more, it is not known which is which.
const GONE_MAX: usize = 4096;

/// A file that was at its path a moment ago.
#[derive(Debug)]
pub struct Gone {
    path: PathBuf,
    generation: u32,
    found: Instant,
}

impl Plan {
    /// What is told of a file that is gone may be about the one that has its number now.
    pub(super) fn keep_generations(&mut self, old: &mut Self) {
        let now = Instant::now();
        let generations = old.generations.drain().filter(|(key, _)| !self.paths.contains_key(key));
        let gone = generations.filter_map(|(key, generation)| {
            let path = old.paths.get(&key)?.clone();
            Some((key, Gone { path, generation, found: now }))
        });
        let before = old
            .gone
            .drain()
            .filter(|(key, gone)| now.duration_since(gone.found) < KEPT && !self.paths.contains_key(key));
        self.gone = before.chain(gone).take(GONE_MAX).collect();
    }

    /// Whether a file has the number of a known one, and is not that one: it has another generation and another name, and the known path
    /// leads elsewhere. A generation alone proves nothing: on ext4, whoever may write to a file can change that of a living one
    /// (`EXT4_IOC_SETVERSION`). Nor do the other two: a file that is made anew can get the number that it had.
    pub(super) fn is_another(&self, root: &Root, file: &FileObject, generation: u32) -> bool {
        let seen = if file.path_seen.is_empty() { &file.path_inside } else { &file.path_seen };
        let differs = |known: u32, path: &Path| {
            known != generation && path.file_name().is_some_and(|name| name.as_bytes() != last_name(seen))
        };
        if let Some(gone) = self.gone.get(&file.key) {
            return differs(gone.generation, &gone.path);
        }
        let (Some(known), Some(path)) = (self.generations.get(&file.key), self.paths.get(&file.key)) else {
            return false;
        };
        // Where one file system is on top of another, a path leads to an object of each.
        let there = || node::file_id(root, path).and_then(|there| self.paths.get(self.ids.get(&there)?));
        differs(*known, path) && there() != Some(path)
    }

    /// Whether the file with this key is on the node at the place by which it was named, and nothing above it is watched: what that place
    /// is called can be chosen, and what is there cannot.
    pub(super) fn is_outside(&self, root: &Root, file: &FileObject) -> bool {
        let place = if file.path_seen.is_empty() {
            self.mounts.on_node(file.key.dev, bytes(&file.path_inside))
        } else {
            Some(bytes(&file.path_seen).to_owned())
        };
        let Some(place) = place else { return false };
        let is_watched = |dir: &Path| match node::file_id(root, dir) {
            Some(id) => self.ids.contains_key(&id),
            None => true,
        };
        node::file_id(root, &place).is_some_and(|id| id.key() == file.key)
            && !place.ancestors().skip(1).any(is_watched)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::OwnedFd;

    use super::*;
    use crate::access::ObjectKey;

    const KEY: ObjectKey = ObjectKey::new(1, 7);

    fn plan(path: PathBuf) -> Plan {
        let mut plan = Plan::default();
        plan.id(&OwnedFd::from(File::open(&path).unwrap()), &[KEY]);
        plan.paths.insert(KEY, path);
        plan.generations.insert(KEY, 3);
        plan
    }

    fn seen_at(path: &str) -> FileObject {
        FileObject {
            key: KEY,
            path_seen: path.into(),
            path_inside: Vec::new(),
            other: None,
            read: true,
            write: false,
            directory: false,
        }
    }

    #[test]
    fn a_file_that_is_there_is_itself_whatever_its_generation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.yaml");
        fs::write(&path, "a").unwrap();
        let (root, plan) = (Root::here().unwrap(), plan(path));
        assert!(!plan.is_another(&root, &seen_at("/tmp/link"), 3));
        assert!(!plan.is_another(&root, &seen_at("/tmp/link"), 4));
        let unknown = FileObject { key: ObjectKey::new(1, 8), ..seen_at("/tmp/link") };
        assert!(!plan.is_another(&root, &unknown, 4));
    }

    #[test]
    fn what_has_the_number_of_one_that_was_replaced_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let (path, new) = (dir.path().join("config.yaml"), dir.path().join("new"));
        fs::write(&path, "a").unwrap();
        let (root, mut plan) = (Root::here().unwrap(), plan(path.clone()));
        fs::write(&new, "b").unwrap();
        fs::rename(new, &path).unwrap();
        assert!(plan.is_another(&root, &seen_at("/tmp/other"), 4));
        // The old one, which somebody still has; and one that was made anew, and is gone again.
        assert!(!plan.is_another(&root, &seen_at("/tmp/other"), 3));
        assert!(!plan.is_another(&root, &seen_at("/host/config.yaml"), 4));
        let mut next = self::plan(path.clone());
        next.paths = [(ObjectKey::new(1, 8), path.clone())].into();
        next.ids.values_mut().for_each(|key| key.ino = 8);
        next.keep_generations(&mut plan);
        assert!(next.is_another(&root, &seen_at("/tmp/other"), 4));
        assert!(!next.is_another(&root, &seen_at("/tmp/other"), 3));
        let mut later = Plan::default();
        later.keep_generations(&mut next);
        assert!(later.is_another(&root, &seen_at("/tmp/other"), 4));
        let long_ago = Instant::now().checked_sub(KEPT).unwrap();
        later.gone.values_mut().for_each(|gone| gone.found = long_ago);
        let mut last = Plan::default();
        last.keep_generations(&mut later);
        assert!(!last.is_another(&root, &seen_at("/tmp/other"), 4));
    }
}
