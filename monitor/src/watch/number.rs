//! Inode numbers that are used again: what has the number of a watched object, and another generation, may be that object all the same.

use rustix::fs::{FsWord, OFlags, fstat, fstatfs};

use super::plan::Plan;
use crate::access::ObjectKey;
use crate::node::{FileId, Root, born};

/// File systems take the time of the kernel's last tick, which can be so many nanoseconds ago.
const TICK: i128 = 10_000_000;

/// There each subvolume has numbers of its own, and nobody can change a generation.
const BTRFS_SUPER_MAGIC: FsWord = 0x9123_683e;

impl Plan {
    /// Whether an object that was found at its path is there, and was at that time (nanoseconds since 1970).
    pub(super) fn is_there(&self, root: &Root, key: ObjectKey, since: i128) -> bool {
        let Some(path) = self.paths.get(&key).filter(|_| self.generations.contains_key(&key)) else {
            return false;
        };
        let Ok(fd) = root.open(path, OFlags::PATH) else { return false };
        let (Ok(stat), Ok(system)) = (fstat(&fd), fstatfs(&fd)) else { return false };
        // Where one file system is on top of another, a path leads to an object of each.
        let known = self.ids.get(&FileId::from(&stat)).and_then(|key| self.paths.get(key));
        system.f_type != BTRFS_SUPER_MAGIC
            && known == Some(path)
            // A number that was used again can be used for the same path once more.
            && born(&fd).is_none_or(|born| born + TICK <= since)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::OwnedFd;

    use monitor_abi::watch::{WATCH_SELF, Watch};

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
}
