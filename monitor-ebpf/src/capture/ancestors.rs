//! Who started the process: its parent and the parents above, each with its executable.

use monitor_abi::fields::Field;
use monitor_abi::record::{ANCESTORS_MAX, Ancestor, SECTION_ANCESTOR};

use super::scratch::Scratch;
use super::{path, task};
use crate::matching;
use crate::reader::{Kernel, Probe, Reader, address, value};

#[inline(always)]
pub fn collect(scratch: &mut Scratch, task: Kernel) {
    let mut task = Probe::pointer(task, Field::TaskLeader);
    for _ in 0..ANCESTORS_MAX {
        task = Probe::pointer(Probe::pointer(task, Field::TaskParent), Field::TaskLeader);
        let tgid: u32 = Probe::read(task, Field::TaskTgid);
        // The idle task is everything's last ancestor and nobody's interest.
        if tgid == 0 || !one(scratch, task, tgid) {
            return;
        }
    }
}

#[inline(never)]
fn one(scratch: &mut Scratch, task: Kernel, tgid: u32) -> bool {
    let exe = task::exe(task);
    let inode = Probe::pointer(exe, Field::FileInode);
    let key = matching::key::<Probe>(inode);
    let section = scratch.open(SECTION_ANCESTOR);
    let pushed = scratch.push(&Ancestor {
        start: Probe::read(task, Field::TaskStart),
        exe_ino: key.ino,
        exe_dev: key.dev,
        flags: task::exe_flags(task, inode),
        tgid,
        uid: Probe::read(Probe::pointer(task, Field::TaskCred), Field::CredUid),
        comm: value(address(task, Field::TaskComm)),
    });
    if !exe.is_null() {
        path::file(scratch, Probe::pointer(exe, Field::FileMnt), Probe::pointer(exe, Field::FileDentry));
    }
    scratch.close(section);
    pushed
}
