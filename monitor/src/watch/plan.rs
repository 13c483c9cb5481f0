//! What the kernel is to watch for a list of targets, as the node looks now. It is made anew at every change and applied as
//! a difference.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use monitor_abi::watch::{NameKey, WATCH_NAMES, Watch};

use super::arm::Arming;
use super::notice::Interest;
use crate::access::{FileObject, ObjectKey, TargetId};
use crate::kernel::{Desired, Kernel, LoadError};
use crate::node::Root;
use crate::target::{Target, What};

/// Whether a target is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Armed,
    /// Not there yet, or not what it should be; it is armed as soon as that changes.
    Waiting(String),
}

#[derive(Debug, Default)]
pub struct Plan {
    pub desired: Desired,
    /// One for each target, in order.
    pub states: Vec<State>,
    /// Paths on the node of the files known by their object.
    pub paths: HashMap<ObjectKey, PathBuf>,
    /// Directories in which a change means that a new plan is due.
    pub notices: Vec<(OwnedFd, Interest)>,
}

/// Marks an entry of the map of objects that is not a target itself.
const NO_TARGET: u32 = u32::MAX;

/// Looks at every target through the kernel.
pub fn plan(kernel: &mut Kernel, root: &Root, targets: &[Target]) -> Result<Plan, LoadError> {
    let mut plan = Plan::default();
    for (target, id) in targets.iter().zip(0..) {
        let mut arming = Arming { kernel, root, plan: &mut plan, id };
        let state = match &target.what {
            What::Directory(path) => arming.directory(path)?,
            What::Socket(path) => arming.socket(path)?,
            What::Port { port, .. } => {
                plan.desired.ports.entry(u32::from(*port)).or_insert(id);
                State::Armed
            }
        };
        plan.states.push(state);
    }
    Ok(plan)
}

impl Plan {
    /// Adds a watch; where two targets share an object, the first keeps it.
    pub(super) fn object(&mut self, key: ObjectKey, target: u32, flags: u32) {
        let watch = self.desired.objects.entry(key).or_insert(Watch { target: NO_TARGET, flags: 0 });
        if watch.target == NO_TARGET {
            watch.target = target;
        }
        if watch.target == target {
            watch.flags |= flags;
        }
    }

    /// Adds a watch on a name inside a directory. `false` when the name is too long for the kernel's table.
    pub(super) fn name(&mut self, dir: ObjectKey, name: &[u8], target: u32) -> bool {
        let Some(key) = NameKey::new(dir, name) else { return false };
        self.desired.names.entry(key).or_insert(target);
        self.desired.objects.entry(dir).or_insert(Watch { target: NO_TARGET, flags: 0 }).flags |= WATCH_NAMES;
        true
    }

    /// The file's path on the node, which is not always the one its actor saw.
    pub fn path_on_node(
        &self,
        targets: &[Target],
        id: TargetId,
        file: &FileObject,
        below: u32,
    ) -> Option<PathBuf> {
        let target = targets.get(usize::try_from(id.0).ok()?)?.path()?;
        if below == 0 {
            return Some(self.paths.get(&file.key).map_or_else(|| target.to_owned(), Clone::clone));
        }
        Some(join_last(target, &file.path_seen, below))
    }
}

/// `base` and the last `count` names of `path`.
fn join_last(base: &Path, path: &[u8], count: u32) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;

    let names: Vec<_> = path.rsplit(|byte| *byte == b'/').take(usize::try_from(count).unwrap_or(0)).collect();
    names.iter().rev().fold(base.to_owned(), |path, name| path.join(std::ffi::OsStr::from_bytes(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_below_a_target_is_the_end_of_the_path_seen() {
        let base = Path::new("/etc/kubernetes/manifests");
        let seen = b"/host/mnt/sub/x.yaml";
        assert_eq!(join_last(base, seen, 1), base.join("x.yaml"));
        assert_eq!(join_last(base, seen, 2), base.join("sub/x.yaml"));
    }

    #[test]
    fn a_shared_object_stays_with_its_first_target() {
        let mut plan = Plan::default();
        let dir = ObjectKey::new(1, 2);
        assert!(plan.name(dir, b"a.sock", 3));
        plan.object(dir, 5, 2);
        plan.object(dir, 6, 1);
        assert_eq!(plan.desired.objects[&dir], Watch { target: 5, flags: WATCH_NAMES | 2 });
    }
}
