//! Where on the node something happened. The kernel says which watched object it lies below and how far; the path that an actor saw is
//! not always the node's.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::plan::Plan;
use crate::access::{FileObject, MountObject, ObjectKey, OtherPlace, TargetId, UnixObject};
use crate::target::{Target, What};

/// What the kernel side said about the place.
#[derive(Clone, Copy, Debug)]
pub struct Hint {
    pub target: TargetId,
    /// Names below the watched object.
    pub below: u32,
    /// The object is a directory above the target.
    pub ancestor: bool,
    /// The object lies beneath a directory above the target.
    pub across: bool,
    /// The actor sees the node's mounts.
    pub on_node: bool,
}

impl Plan {
    pub fn file(&self, target: &Target, hint: Hint, file: &FileObject) -> Option<PathBuf> {
        let inside = bytes(&file.path_inside);
        if !file.path_inside.is_empty() {
            let path = self.mounts.on_node(file.key.dev, inside);
            let found = path.filter(|path| {
                hint.ancestor
                    || beneath(target, path.as_os_str().as_bytes())
                    || self.was_on_the_way(target, hint, path)
            });
            if found.is_some() {
                return found;
            }
        }
        let names = if file.path_seen.is_empty() { inside } else { bytes(&file.path_seen) };
        self.place(target, hint, file.key, names, !file.path_seen.is_empty())
    }

    /// Whether the place was found by a name that was missing on the way to the target, and is beside that way.
    fn was_on_the_way(&self, target: &Target, hint: Hint, path: &Path) -> bool {
        let below = usize::try_from(hint.below).unwrap_or(usize::MAX);
        let Some(name) = path.ancestors().nth(below) else { return false };
        let above = target.path().is_some_and(|own| own != name && own.starts_with(name));
        above && self.came.contains_key(&(hint.target.0, name.to_owned()))
    }

    pub fn mount(&self, target: &Target, hint: Hint, mount: &MountObject) -> Option<PathBuf> {
        self.place(target, hint, mount.key, bytes(&mount.path_seen), true)
    }

    pub fn socket(&self, target: &Target, socket: &UnixObject) -> Option<PathBuf> {
        let path = target.path()?;
        if !matches!(target.what, What::Sockets { .. }) {
            return Some(path.to_owned());
        }
        let known = self.paths.get(&socket.key).cloned();
        Some(known.unwrap_or_else(|| join_last(path, bytes(&socket.path_seen), 1)))
    }

    /// The other place of a rename or link is anywhere in the same file system.
    pub fn other(&self, dev: u32, other: &OtherPlace) -> PathBuf {
        let inside = bytes(&other.path_inside);
        self.mounts.on_node(dev, inside).unwrap_or_else(|| inside.to_owned())
    }

    fn place(
        &self,
        target: &Target,
        hint: Hint,
        key: ObjectKey,
        names: &Path,
        is_whole: bool,
    ) -> Option<PathBuf> {
        if hint.ancestor {
            return self.above.get(&key).map(|above| above.path.clone());
        }
        if is_whole && hint.on_node && beneath(target, names.as_os_str().as_bytes()) {
            return Some(names.to_owned());
        }
        // Names that could not be read. What the daemon saw there itself has some.
        if names.as_os_str().is_empty()
            && let Some(known) = self.paths.get(&key)
        {
            return Some(known.clone());
        }
        let path = target.path()?;
        if hint.across {
            let candidates = path.ancestors().skip(1).map(|above| join_last(above, names, hint.below));
            return candidates
                .into_iter()
                .find(|path| beneath(target, path.as_os_str().as_bytes()))
                .or(Some(names.to_owned()));
        }
        let missing = self.places.get(&hint.target.0);
        // The first name that was missing then is there by now, and the next one is missing.
        if hint.below == 0 && missing.is_some_and(|missing| missing.file_name() != names.file_name()) {
            return Some(self.mounts.on_node(key.dev, names).unwrap_or_else(|| names.to_owned()));
        }
        if hint.below == 0 && missing.is_none() {
            return Some(self.paths.get(&key).map_or_else(|| path.to_owned(), Clone::clone));
        }
        Some(join_last(missing.map_or(path, PathBuf::as_path), names, hint.below))
    }
}

/// Whether the path is the target's or lies beneath it.
pub fn beneath(target: &Target, path: &[u8]) -> bool {
    target.path().is_some_and(|target| bytes(path).starts_with(target))
}

/// Whether the path is that of a directory above the target.
pub fn above(target: &Target, path: &[u8]) -> bool {
    target.path().is_some_and(|target| target.starts_with(bytes(path)))
}

pub(super) fn bytes(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

/// `base` and the last `count` names of `path`.
fn join_last(base: &Path, path: &Path, count: u32) -> PathBuf {
    let count = usize::try_from(count).unwrap_or(0);
    let names: Vec<_> = path.iter().rev().take(count).collect();
    names.iter().rev().fold(base.to_owned(), |path, name| path.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Object;
    use crate::event::samples;
    use crate::model::Class;
    use crate::node::Mounts;

    #[test]
    fn the_path_below_a_target_is_the_end_of_the_path_seen() {
        let base = Path::new("/etc/kubernetes/manifests");
        let seen = Path::new("/host/mnt/sub/x.yaml");
        assert_eq!(join_last(base, seen, 1), base.join("x.yaml"));
        assert_eq!(join_last(base, seen, 2), base.join("sub/x.yaml"));
    }

    #[test]
    fn what_was_made_beside_a_missing_path_is_not_put_into_it() {
        let target = Target { class: Class::RuntimeApi, what: What::Path("/run/containerd/s".into()) };
        let mut old = Plan::default();
        old.places.insert(0, "/run/containerd".into());
        let mut plan = Plan { mounts: Mounts::parse(b"1 0 0:9 / /run rw"), ..Plan::default() };
        plan.keep_missing(&mut old);
        let hint = Hint { target: TargetId(0), below: 1, ancestor: false, across: false, on_node: true };
        let place = |plan: &Plan, below, inside: &str| {
            let Object::File(mut file) = samples::file(b"", true, false) else { panic!("not a file") };
            file.key = ObjectKey::new(9, 1);
            file.path_inside = inside.into();
            plan.file(&target, Hint { below, ..hint }, &file).unwrap()
        };
        assert_eq!(place(&plan, 1, "/containerd/fifo"), Path::new("/run/containerd/fifo"));
        assert_eq!(place(&plan, 2, "/containerd/fifo/1"), Path::new("/run/containerd/fifo/1"));
        assert_eq!(place(&plan, 2, "/containerd/s/1"), Path::new("/run/containerd/s/1"));
        // The directory has another name by now.
        assert_eq!(place(&plan, 1, "/containerd/t/1"), Path::new("/run/containerd/s/1"));
        plan.came.clear();
        assert_eq!(place(&plan, 1, "/containerd/fifo"), Path::new("/run/containerd/s/fifo"));
    }
}
