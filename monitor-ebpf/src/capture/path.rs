//! Paths, name by name from the object upwards, as far as the root of its mount namespace.

use monitor_abi::fields::Field;
use monitor_abi::record::PATH_DEPTH;

use super::scratch::Scratch;
use crate::reader::{Kernel, Probe, Reader, address, container};

/// Appends the names of a file's path. Mounts are crossed upwards, so the path is the one its mount namespace shows.
#[inline(never)]
pub fn file(scratch: &mut Scratch, mnt: Kernel, dentry: Kernel) {
    let mut mnt = mnt;
    let mut dentry = dentry;
    for _ in 0..PATH_DEPTH {
        if dentry == Probe::pointer(mnt, Field::VfsmountRoot) {
            let mount = container(mnt, Field::MountVfsmount);
            let above = Probe::pointer(mount, Field::MountParent);
            if above == mount || above.is_null() {
                return;
            }
            dentry = Probe::pointer(mount, Field::MountMountpoint);
            mnt = address(above, Field::MountVfsmount);
            continue;
        }
        if !scratch.push_name(Probe::pointer(dentry, Field::DentryName)) {
            return;
        }
        let parent = Probe::pointer(dentry, Field::DentryParent);
        // Not below the mount's root: a file without a directory, as memfd_create makes it.
        if parent == dentry || parent.is_null() {
            return;
        }
        dentry = parent;
    }
    scratch.truncated();
}

/// Appends the names of the task's cgroup in the unified hierarchy, and notes its id.
#[inline(always)]
pub fn cgroup(scratch: &mut Scratch, task: Kernel) {
    let group = Probe::pointer(Probe::pointer(task, Field::TaskCgroups), Field::CssSetCgroup);
    let mut node = Probe::pointer(group, Field::CgroupKn);
    if node.is_null() {
        return;
    }
    scratch.head().actor.cgroup_id = Probe::read(node, Field::KernfsId);
    for _ in 0..PATH_DEPTH {
        let parent = Probe::pointer(node, Field::KernfsParent);
        // The root has no name.
        if parent.is_null() {
            return;
        }
        if !scratch.push_name(Probe::pointer(node, Field::KernfsName)) {
            return;
        }
        node = parent;
    }
    scratch.truncated();
}
