//! Describing an access at the moment of the hit, from the current task: a process that lives a millisecond is described
//! in full, and a node full of other work pays nothing.

mod ancestors;
mod args;
mod path;
pub mod scratch;
pub mod task;

use aya_ebpf::helpers::bpf_get_current_task;
use monitor_abi::counters::Counter;
use monitor_abi::fields::Field;
use monitor_abi::record::{SECTION_CGROUP, SECTION_CWD, SECTION_EXE, SECTION_OBJECT};

use crate::hooks::Hook;
use crate::maps::{SCRATCH, count};
use crate::matching::Match;
use crate::own;
use crate::reader::{Kernel, Probe, Reader};
use crate::ring;

/// What a hook found.
pub struct Found {
    pub tag: u32,
    pub matched: Match,
    /// The object's place in the file system; null when it has none.
    pub mnt: Kernel,
    pub dentry: Kernel,
}

#[inline(always)]
pub fn access<T: Copy>(hook: Hook, found: &Found, object: &T) {
    if own::is_own() {
        count(Counter::Own);
        return;
    }
    count(Counter::Hit);
    let Some(scratch) = SCRATCH.get_ptr_mut(hook as u32) else {
        count(Counter::LostInternal);
        return;
    };
    // SAFETY: the memory is this CPU's and this hook's; `begin` refuses it while an interrupted run of the hook uses it.
    let scratch = unsafe { &mut *scratch };
    if !scratch.begin(found.tag, found.matched, object) {
        count(Counter::LostBusy);
        return;
    }
    // SAFETY: the helper only returns an address.
    let task = unsafe { bpf_get_current_task() } as Kernel;
    task::describe(scratch, task);
    let exe = task::exe(task);
    section(
        scratch,
        SECTION_EXE,
        Probe::pointer(exe, Field::FileMnt),
        Probe::pointer(exe, Field::FileDentry),
    );
    args::collect(scratch, task);
    section(scratch, SECTION_OBJECT, found.mnt, found.dentry);
    let fs = Probe::pointer(task, Field::TaskFs);
    section(
        scratch,
        SECTION_CWD,
        Probe::pointer(fs, Field::FsPwdMnt),
        Probe::pointer(fs, Field::FsPwdDentry),
    );
    let start = scratch.open(SECTION_CGROUP);
    path::cgroup(scratch, task);
    scratch.close(start);
    ancestors::collect(scratch, task);
    ring::emit(scratch);
    scratch.end();
}

#[inline(always)]
fn section(scratch: &mut scratch::Scratch, kind: u16, mnt: Kernel, dentry: Kernel) {
    if dentry.is_null() {
        return;
    }
    let start = scratch.open(kind);
    path::file(scratch, mnt, dentry);
    scratch.close(start);
}
