//! Who started the process: its parent and the parents above, each with its executable.

use aya_ebpf::helpers::bpf_get_current_task;
use monitor_abi::fields::Field;
use monitor_abi::record::{ANCESTORS_MAX, Ancestor, SECTION_ANCESTOR};

use super::scratch::Scratch;
use super::{path, task};
use crate::matching;
use crate::reader::{Kernel, Probe, Reader, address, value};

#[inline(always)]
pub fn collect(hook: u32) {
    let Some(scratch) = Scratch::of(hook) else { return };
    // SAFETY: the helper only returns an address.
    scratch.cursor.task = unsafe { bpf_get_current_task() } as u64;
    for _ in 0..ANCESTORS_MAX {
        if capture_ancestor(hook) == 0 {
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

/// Appends the next ancestor; 0 when there is none, or no room.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn capture_ancestor(hook: u32) -> u32 {
    let Some(scratch) = Scratch::of(hook) else { return 0 };
    let task = parent(scratch.cursor.task as Kernel);
    scratch.cursor.task = task as u64;
    let tgid: u32 = Probe::read(task, Field::TaskTgid);
    // The idle task is everything's last ancestor and nobody's interest.
    if tgid == 0 {
        return 0;
    }
    let exe = task::exe(task);
    let inode = Probe::pointer(exe, Field::FileInode);
    let key = matching::key::<Probe>(inode);
    let start = scratch.open(SECTION_ANCESTOR);
    let pushed = scratch.push(&Ancestor {
        start: Probe::read(task, Field::TaskStart),
        exe_ino: key.ino,
        exe_dev: key.dev,
        flags: task::exe_flags(task, inode),
        tgid,
        uid: Probe::read(Probe::pointer(task, Field::TaskCred), Field::CredUid),
        comm: value(address(task, Field::TaskComm)),
    });
    if pushed && !exe.is_null() {
        path::names(hook, Probe::pointer(exe, Field::FileMnt), Probe::pointer(exe, Field::FileDentry));
    }
    scratch.close(start);
    u32::from(pushed)
}
