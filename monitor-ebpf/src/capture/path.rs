//! Paths, name by name from the object upwards, as far as the root of its mount namespace.

use monitor_abi::fields::Field;
use monitor_abi::record::{PATH_DEPTH, SECTION_CGROUP};

use super::scratch::Scratch;
use crate::reader::{Kernel, Probe, Reader, address, container};

/// Appends a file's path as a section of its own. Mounts are crossed upwards, so the path is the one its mount namespace
/// shows.
#[inline(always)]
pub fn section(hook: u32, kind: u16, mnt: Kernel, dentry: Kernel) {
    if dentry.is_null() {
        return;
    }
    let Some(scratch) = Scratch::of(hook) else { return };
    let start = scratch.open(kind);
    names(hook, mnt, dentry);
    scratch.close(start);
}

/// Appends the names of a file's path to the open section.
#[inline(always)]
pub fn names(hook: u32, mnt: Kernel, dentry: Kernel) {
    let Some(scratch) = Scratch::of(hook) else { return };
    scratch.cursor.mnt = mnt as u64;
    scratch.cursor.dentry = dentry as u64;
    steps(scratch, || capture_path_step(hook));
}

/// Appends the names of the task's cgroup in the unified hierarchy, and notes its id.
#[inline(always)]
pub fn cgroup(hook: u32, scratch: &mut Scratch, task: Kernel) {
    let group = Probe::pointer(Probe::pointer(task, Field::TaskCgroups), Field::CssSetCgroup);
    let node = Probe::pointer(group, Field::CgroupKn);
    if node.is_null() {
        return;
    }
    scratch.head().actor.cgroup_id = Probe::read(node, Field::KernfsId);
    let start = scratch.open(SECTION_CGROUP);
    scratch.cursor.node = node as u64;
    steps(scratch, || capture_cgroup_step(hook));
    scratch.close(start);
}

/// Steps until one says it was the last.
#[inline(always)]
fn steps(scratch: &mut Scratch, step: impl Fn() -> u32) {
    for _ in 0..PATH_DEPTH {
        if step() == 0 {
            return;
        }
    }
    scratch.truncated();
}

/// Goes up by one name or one mount; 0 at the end.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn capture_path_step(hook: u32) -> u32 {
    let Some(scratch) = Scratch::of(hook) else { return 0 };
    let mnt = scratch.cursor.mnt as Kernel;
    let dentry = scratch.cursor.dentry as Kernel;
    if dentry == Probe::pointer(mnt, Field::VfsmountRoot) {
        let mount = container(mnt, Field::MountVfsmount);
        let above = Probe::pointer(mount, Field::MountParent);
        scratch.cursor.dentry = Probe::read(mount, Field::MountMountpoint);
        scratch.cursor.mnt = address(above, Field::MountVfsmount) as u64;
        return u32::from(above != mount && !above.is_null());
    }
    if !scratch.push_name(Probe::pointer(dentry, Field::DentryName)) {
        return 0;
    }
    let parent = Probe::pointer(dentry, Field::DentryParent);
    scratch.cursor.dentry = parent as u64;
    // Its own parent, though not the mount's root: a file without a directory, as memfd_create makes it.
    u32::from(parent != dentry && !parent.is_null())
}

/// Goes up by one cgroup; 0 at the root, which has no name.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn capture_cgroup_step(hook: u32) -> u32 {
    let Some(scratch) = Scratch::of(hook) else { return 0 };
    let node = scratch.cursor.node as Kernel;
    let parent = Probe::pointer(node, Field::KernfsParent);
    if parent.is_null() || !scratch.push_name(Probe::pointer(node, Field::KernfsName)) {
        return 0;
    }
    scratch.cursor.node = parent as u64;
    1
}
