//! Who started the process: its parent and the parents above, each with its executable.

use aya_ebpf::helpers::bpf_get_current_task;
use monitor_abi::fields::Field;
use monitor_abi::record::{ANCESTORS_MAX, Ancestor, SECTION_ANCESTOR};

use super::path::capture_path;
use super::scratch::Scratch;
use super::task;
use crate::matching;
use crate::reader::{Kernel, Probe, Reader, address, value};

#[inline(always)]
pub fn collect(hook: u32) {
    // SAFETY: the helper only returns an address.
    let mut task = unsafe { bpf_get_current_task() } as Kernel;
    for _ in 0..ANCESTORS_MAX {
        task = parent(task);
        // The idle task is everything's last ancestor and nobody's interest.
        if Probe::read::<u32>(task, Field::TaskTgid) == 0 || capture_ancestor(hook, task as u64) == 0 {
            return;
        }
    }
}

/// The process that started this one, or the reaper that took it over.
#[inline(always)]
pub fn parent(task: Kernel) -> Kernel {
    let leader = Probe::pointer(task, Field::TaskLeader);
    Probe::pointer(Probe::pointer(leader, Field::TaskParent), Field::TaskLeader)
}

/// Appends one ancestor; 0 when there is no room.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn capture_ancestor(hook: u32, task: u64) -> u32 {
    let Some(scratch) = Scratch::of(hook) else { return 0 };
    let task = task as Kernel;
    let exe = task::exe(task);
    let inode = Probe::pointer(exe, Field::FileInode);
    let key = matching::key::<Probe>(inode);
    let section = scratch.open(SECTION_ANCESTOR);
    let pushed = scratch.push(&Ancestor {
        start: Probe::read(task, Field::TaskStart),
        exe_ino: key.ino,
        exe_dev: key.dev,
        flags: task::exe_flags(task, inode),
        tgid: Probe::read(task, Field::TaskTgid),
        uid: Probe::read(Probe::pointer(task, Field::TaskCred), Field::CredUid),
        comm: value(address(task, Field::TaskComm)),
    });
    if pushed && !exe.is_null() {
        let (mnt, dentry) = (Probe::pointer(exe, Field::FileMnt), Probe::pointer(exe, Field::FileDentry));
        capture_path(hook, mnt as u64, dentry as u64);
    }
    scratch.close(section);
    u32::from(pushed)
}
