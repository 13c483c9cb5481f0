//! Who started the process: its parent and the parents above, each with its executable.

use monitor_abi::fields::Field;
use monitor_abi::record::{ANCESTORS_MAX, Ancestor, SECTION_ANCESTOR};

use super::scratch::Scratch;
use super::{path, task};
use crate::matching;
use crate::reader::{Kernel, Probe, Reader, Typed};

#[inline(always)]
pub fn collect<R: Reader>(hook: u32) {
    let Some(scratch) = Scratch::of(hook) else { return };
    if R::sealed() {
        collect_numbers(scratch);
        return;
    }
    scratch.cursor.task = Probe::current() as u64;
    for _ in 0..ANCESTORS_MAX {
        if capture_ancestor(hook) == 0 {
            return;
        }
    }
}

/// The same without the paths of their executables.
///
/// VERIFIER: a function of its own for the stack it takes.
#[inline(never)]
fn collect_numbers(scratch: &mut Scratch) -> u32 {
    let mut task = Typed::current();
    for _ in 0..ANCESTORS_MAX {
        task = parent::<Typed>(task);
        let tgid: u32 = Typed::read(task, Field::TaskTgid);
        if tgid == 0 {
            break;
        }
        let start = scratch.open(SECTION_ANCESTOR);
        push::<Typed>(scratch, task, tgid);
        scratch.close(start);
    }
    0
}

/// The process that started this one, or the reaper that took it over.
#[inline(always)]
pub fn parent<R: Reader>(task: Kernel) -> Kernel {
    let leader = R::pointer(task, Field::TaskLeader);
    R::pointer(R::pointer(leader, Field::TaskParent), Field::TaskLeader)
}

/// Appends the next ancestor; 0 when there is none, or no room.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn capture_ancestor(hook: u32) -> u32 {
    let Some(scratch) = Scratch::of(hook) else { return 0 };
    let task = parent::<Probe>(scratch.cursor.task as Kernel);
    scratch.cursor.task = task as u64;
    let tgid: u32 = Probe::read(task, Field::TaskTgid);
    // The idle task is everything's last ancestor and nobody's interest.
    if tgid == 0 {
        return 0;
    }
    let start = scratch.open(SECTION_ANCESTOR);
    let pushed = push::<Probe>(scratch, task, tgid);
    let exe = task::exe::<Probe>(task);
    if pushed && !exe.is_null() {
        path::names(hook, Probe::pointer(exe, Field::FileMnt), Probe::pointer(exe, Field::FileDentry));
    }
    scratch.close(start);
    u32::from(pushed)
}

#[inline(always)]
fn push<R: Reader>(scratch: &mut Scratch, task: Kernel, tgid: u32) -> bool {
    let inode = R::pointer(task::exe::<R>(task), Field::FileInode);
    let key = matching::key::<R>(inode);
    scratch.push(&Ancestor {
        start: R::read(task, Field::TaskStart),
        exe_ino: key.ino,
        exe_dev: key.dev,
        flags: task::exe_flags::<R>(task, inode),
        tgid,
        uid: R::read(R::pointer(task, Field::TaskCred), Field::CredUid),
        comm: R::read(task, Field::TaskComm),
    })
}
