//! The argument list, from the process's own memory: where exec put it, or where the process says it is now.

use monitor_abi::fields::Field;
use monitor_abi::record::{ACTOR_ARGS_TRUNCATED, ACTOR_ARGS_UNREADABLE, ARGS_MAX, SECTION_ARGS};

use super::scratch::Scratch;
use crate::reader::{Kernel, Probe, Reader};

#[inline(always)]
pub fn collect(scratch: &mut Scratch, task: Kernel) {
    let mm = Probe::pointer(task, Field::TaskMm);
    let start: u64 = Probe::read(mm, Field::MmArgStart);
    let end: u64 = Probe::read(mm, Field::MmArgEnd);
    if start == 0 || end <= start {
        return;
    }
    let mut length = end - start;
    if length > ARGS_MAX as u64 {
        length = ARGS_MAX as u64;
        scratch.head().actor.flags |= ACTOR_ARGS_TRUNCATED;
    }
    let section = scratch.open(SECTION_ARGS);
    if !scratch.push_user(start, length as u32) {
        scratch.head().actor.flags |= ACTOR_ARGS_UNREADABLE;
    }
    scratch.close(section);
}
