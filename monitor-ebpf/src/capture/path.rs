//! Paths, name by name from the object upwards, as far as the root of its mount namespace.

use monitor_abi::fields::Field;
use monitor_abi::record::{PATH_DEPTH, SECTION_CGROUP};

use super::scratch::Scratch;
use crate::reader::{Kernel, Probe, Reader, address, container};

/// Appends a file's path as a section of its own.
#[inline(always)]
pub fn section(hook: u32, kind: u16, mnt: Kernel, dentry: Kernel) {
    if dentry.is_null() {
        return;
    }
    let Some(scratch) = Scratch::of(hook) else { return };
    let start = scratch.open(kind);
    capture_path(hook, mnt as u64, dentry as u64);
    scratch.close(start);
}

/// Appends the names of a file's path. Mounts are crossed upwards, so the path is the one its mount namespace shows.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn capture_path(hook: u32, mnt: u64, dentry: u64) -> u32 {
    let Some(scratch) = Scratch::of(hook) else { return 0 };
    let mut mnt = mnt as Kernel;
    let mut dentry = dentry as Kernel;
    for _ in 0..PATH_DEPTH {
        if dentry == Probe::pointer(mnt, Field::VfsmountRoot) {
            let mount = container(mnt, Field::MountVfsmount);
            let above = Probe::pointer(mount, Field::MountParent);
            if above == mount || above.is_null() {
                return 0;
            }
            dentry = Probe::pointer(mount, Field::MountMountpoint);
            mnt = address(above, Field::MountVfsmount);
            continue;
        }
        if !scratch.push_name(Probe::pointer(dentry, Field::DentryName)) {
            return 0;
        }
        let parent = Probe::pointer(dentry, Field::DentryParent);
        // Not below the mount's root: a file without a directory, as memfd_create makes it.
        if parent == dentry || parent.is_null() {
            return 0;
        }
        dentry = parent;
    }
    scratch.truncated();
    0
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
    let start = scratch.open(SECTION_CGROUP);
    for _ in 0..PATH_DEPTH {
        let parent = Probe::pointer(node, Field::KernfsParent);
        // The root has no name.
        if parent.is_null() || !scratch.push_name(Probe::pointer(node, Field::KernfsName)) {
            break;
        }
        node = parent;
    }
    scratch.close(start);
}
