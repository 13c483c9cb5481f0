//! Inode numbers that do not say which object it is: what has the number of a watched one, and another generation, may be that object
//! all the same, or certainly none.

use std::os::fd::OwnedFd;

use rustix::fs::{FsWord, OFlags, fstat, fstatfs};

use super::plan::Plan;
use crate::access::ObjectKey;
use crate::kernel::Answer;
use crate::node::{FileId, Root, born};

/// File systems take the time of the kernel's last tick, which can be so many nanoseconds ago.
const TICK: i128 = 10_000_000;

/// There each subvolume has numbers of its own, and nobody can change a generation.
const BTRFS_SUPER_MAGIC: FsWord = 0x9123_683e;

impl Plan {
    /// Remembers what the kernel saw when an object was opened, and returns what it is known by.
    pub(super) fn note(&mut self, fd: Option<&OwnedFd>, answer: &Answer) -> Vec<ObjectKey> {
        // It may have been mounted since the mounts were read.
        if fd.and_then(|fd| fstatfs(fd).ok()).is_some_and(|system| system.f_type == BTRFS_SUPER_MAGIC) {
            self.exact.extend(answer.keys.iter().map(|key| key.dev));
        }
        let keys = answer.keys.iter().zip(&answer.generations).map(|(key, generation)| {
            let is_exact = self.exact.contains(&key.dev);
            let key = ObjectKey { generation: if is_exact { *generation } else { 0 }, ..*key };
            self.generations.insert(key, *generation);
            key
        });
        keys.collect()
    }

    /// Whether an object that was found at its path is there, and was at that time (nanoseconds since 1970).
    pub(super) fn is_there(&self, root: &Root, key: ObjectKey, since: i128) -> bool {
        let Some(path) = self.paths.get(&key).filter(|_| self.generations.contains_key(&key)) else {
            return false;
        };
        let Ok(fd) = root.open(path, OFlags::PATH) else { return false };
        let Ok(stat) = fstat(&fd) else { return false };
        // Where one file system is on top of another, a path leads to an object of each.
        let known = self.ids.get(&FileId::from(&stat)).and_then(|key| self.paths.get(key));
        known == Some(path)
            // A number that was used again can be used for the same path once more.
            && born(&fd).is_none_or(|born| born + TICK <= since)
    }
}

#[cfg(test)]
mod tests {
    use monitor_abi::watch::{WATCH_SELF, Watch};
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn what_has_the_number_of_another_is_not_where_that_one_was() {
        let dir = tempfile::tempdir().unwrap();
        let (path, new) = (dir.path().join("config.yaml"), dir.path().join("new"));
        fs::write(&path, "a").unwrap();
        let (root, key, kept) = (Root::here().unwrap(), ObjectKey::new(1, 7), ObjectKey::new(1, 8));
        let mut plan = Plan::default();
        plan.generations.insert(key, 3);
        plan.object(key, 5, WATCH_SELF);
        plan.paths.insert(key, path.clone());
        plan.id(&OwnedFd::from(File::open(&path).unwrap()), &[key]);
        plan.keep_object(kept, Watch { target: 5, flags: WATCH_SELF, generation: 9 });
        plan.paths.insert(kept, path.clone());
        assert_eq!(plan.desired.objects[&key], Watch { target: 5, flags: WATCH_SELF, generation: 3 });
        assert_eq!(plan.desired.objects[&kept].generation, 9);
        let (born, is_there) =
            (born(File::open(&path).unwrap()), |key, since| plan.is_there(&root, key, since));
        assert!(is_there(key, i128::MAX));
        assert!(is_there(key, 0) == born.is_none(), "it was made later");
        assert!(!is_there(kept, i128::MAX), "another has its place");
        assert!(!is_there(ObjectKey::new(1, 9), i128::MAX), "nothing is known of it");
        fs::write(&new, "b").unwrap();
        fs::rename(new, &path).unwrap();
        assert!(!is_there(key, i128::MAX));
        fs::remove_file(&path).unwrap();
        assert!(!is_there(key, i128::MAX));
    }
    #[test]
    fn where_each_part_has_its_numbers_one_can_be_two_objects() {
        let (btrfs, ext4) = (ObjectKey::new(1, 256), ObjectKey::new(2, 256));
        let mut plan = Plan { exact: [1].into(), ..Plan::default() };
        for generation in [7, 8] {
            let answer =
                Answer { keys: vec![btrfs, ext4], generations: vec![generation; 2], ..Answer::default() };
            assert_eq!(plan.note(None, &answer), [ObjectKey { generation, ..btrfs }, ext4]);
        }
        let kept = ObjectKey { generation: 9, ..ObjectKey::new(3, 1) };
        plan.keep_object(kept, Watch { target: 5, flags: WATCH_SELF, generation: 9 });
        assert!(plan.exact.contains(&3), "what is not mounted here any more is told apart, too");
    }
}
