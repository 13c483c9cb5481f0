//! Inode numbers that do not say which object it is: what has the number of a watched one, and another generation, may be that object
//! all the same, or certainly none.

use std::os::fd::OwnedFd;

use monitor_abi::watch::{WATCH_EXACT, Watch};
use rustix::fs::{FsWord, OFlags, fstat, fstatfs};

use super::plan::Plan;
use crate::access::{ObjectKey, TargetId};
use crate::kernel::{Answer, Desired};
use crate::node::{FileId, Root, born};

/// File systems take the time of the kernel's last tick, which can be so many nanoseconds ago.
const TICK: i128 = 10_000_000;

/// There each subvolume has numbers of its own, and nobody can change a generation.
const BTRFS_SUPER_MAGIC: FsWord = 0x9123_683e;

/// Which of the objects that have the same number one after the other, or side by side, it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generation {
    pub number: u32,
    /// `WATCH_EXACT` where another generation is another object.
    pub flags: u32,
}

impl Plan {
    /// Remembers what the kernel saw when an object was opened, and returns the keys that are its own.
    pub(super) fn note(&mut self, fd: Option<&OwnedFd>, answer: &Answer) -> Vec<ObjectKey> {
        let system = fd.and_then(|fd| fstatfs(fd).ok()).map(|system| system.f_type);
        self.note_with(if system == Some(BTRFS_SUPER_MAGIC) { WATCH_EXACT } else { 0 }, answer)
    }

    fn note_with(&mut self, flags: u32, answer: &Answer) -> Vec<ObjectKey> {
        let keys = answer.keys.iter().zip(&answer.generations);
        keys.map(|(key, number)| {
            let generation = Generation { number: *number, flags };
            let mut key = *key;
            let first = self.generations.get(&key);
            if first.is_some_and(|first| first.flags & flags & WATCH_EXACT != 0 && first.number != *number) {
                key.generation = *number;
                self.twins.insert(key);
            }
            self.generations.insert(key, generation);
            key
        })
        .collect()
    }

    /// Which object an access is to, where two that are watched have its number.
    pub fn own_key(&self, key: ObjectKey, target: TargetId) -> ObjectKey {
        let Desired { objects, ancestors, .. } = &self.desired;
        let is_of = |watch: Option<&Watch>| watch.is_some_and(|watch| watch.target == target.0);
        let is_it = |twin: &&ObjectKey| {
            (twin.dev, twin.ino) == (key.dev, key.ino)
                && (is_of(objects.get(twin)) || is_of(ancestors.get(twin)))
        };
        self.twins.iter().find(is_it).copied().unwrap_or(key)
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
    use std::fs::{self, File};
    use std::path::Path;

    use monitor_abi::watch::{WATCH_SELF, Watch};

    use super::*;

    #[test]
    fn what_has_the_number_of_another_is_not_where_that_one_was() {
        let dir = tempfile::tempdir().unwrap();
        let (path, new) = (dir.path().join("config.yaml"), dir.path().join("new"));
        fs::write(&path, "a").unwrap();
        let (root, key, kept) = (Root::here().unwrap(), ObjectKey::new(1, 7), ObjectKey::new(1, 8));
        let mut plan = Plan::default();
        plan.generations.insert(key, Generation { number: 3, flags: 0 });
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
    fn two_that_are_watched_may_have_one_number() {
        let key = ObjectKey::new(1, 256);
        let second = ObjectKey { generation: 8, ..key };
        let mut plan = Plan::default();
        for (target, number, own) in [(5, 7, key), (6, 8, second), (5, 7, key)] {
            let answer = Answer { keys: vec![key], generations: vec![number], ..Answer::default() };
            assert_eq!(plan.note_with(WATCH_EXACT, &answer), [own]);
            plan.object(own, target, WATCH_SELF);
            plan.above(own, Path::new("/var"), target);
        }
        let watch = |target, flags, generation| Watch { target, flags: flags | WATCH_EXACT, generation };
        assert_eq!(
            plan.desired.objects,
            [(key, watch(5, WATCH_SELF, 7)), (second, watch(6, WATCH_SELF, 8))].into()
        );
        assert_eq!(plan.desired.ancestors, [(key, watch(5, 0, 7)), (second, watch(6, 0, 8))].into());
        assert_eq!([5, 6].map(|target| plan.own_key(key, TargetId(target))), [key, second]);
        // What goes on being watched when the first is gone has the number for itself.
        let mut next = Plan::default();
        assert_eq!(next.keep_object(second, plan.desired.objects[&second]), key);
        assert_eq!(next.desired.objects, [(key, watch(6, WATCH_SELF, 8))].into());
    }

    #[test]
    fn where_generations_prove_nothing_a_number_is_one_object() {
        let key = ObjectKey::new(1, 256);
        let mut plan = Plan::default();
        for number in [7, 8] {
            let answer = Answer { keys: vec![key], generations: vec![number], ..Answer::default() };
            assert_eq!(plan.note_with(0, &answer), [key]);
        }
        assert!(plan.twins.is_empty());
    }
}
