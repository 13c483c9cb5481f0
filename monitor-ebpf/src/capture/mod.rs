//! Describing an access at the moment of the hit, from the current task: a process that lives a millisecond is described
//! in full, and a node full of other work pays nothing.
//!
//! VERIFIER: the functions called in loops are *global* in BPF's sense (exported, numbers in and out): the kernel then checks
//! each once and not at every call. Loading is ten times faster, and on 5.10 possible at all.
//! <https://docs.kernel.org/bpf/verifier.html> and
//! <https://github.com/torvalds/linux/commit/51c39bb1d5d105a02e29aa7960f0a395086e6342>

pub mod ancestors;
mod args;
pub mod path;
pub mod scratch;
pub mod task;

use aya_ebpf::helpers::bpf_get_current_task;
use monitor_abi::counters::Counter;
use monitor_abi::fields::Field;
use monitor_abi::record::{
    Actor, HEAD_NO_ACTOR, SECTION_CWD, SECTION_EXE, SECTION_OBJECT, TAG_DOER, TARGET_NONE,
};

use self::scratch::{Record, Scratch};
use crate::again::{self, Same};
use crate::maps::count;
use crate::matching::Match;
use crate::own;
use crate::reader::{Kernel, Probe, Reader};
use crate::ring;

/// What a hook found.
pub struct Found {
    pub tag: u32,
    pub matched: Match,
    pub same: Same,
    /// The object's place in the file system; null when it has none.
    pub mnt: Kernel,
    pub dentry: Kernel,
}

/// Describes the access and hands it over; `fill` writes the object where it belongs in the record.
#[inline(always)]
pub fn access<T>(hook: impl Into<u32>, found: &Found, fill: impl FnOnce(&mut T)) {
    access_with(hook, found, fill, |_, _| {});
}

/// The same with sections of its own, which `more` adds to the scratch space of the hook's number.
#[inline(always)]
pub fn access_with<T>(
    hook: impl Into<u32>,
    found: &Found,
    fill: impl FnOnce(&mut T),
    more: impl FnOnce(u32, &mut Scratch),
) {
    let has_actor = found.matched.flags() & HEAD_NO_ACTOR == 0;
    if has_actor && own::is_own() {
        count(Counter::Own);
        return;
    }
    count(Counter::Hit);
    if again::is_repeat(found.same, found.matched.target()) {
        return;
    }
    let hook = hook.into();
    let Some(scratch) = Scratch::of(hook) else {
        count(Counter::LostInternal);
        return;
    };
    if !scratch.begin(found.tag, found.matched) {
        count(Counter::LostBusy);
        return;
    }
    fill(scratch.object());
    if has_actor {
        capture_process(hook);
    } else {
        scratch.head().actor = Actor::default();
    }
    path::section(hook, SECTION_OBJECT, found.mnt, found.dentry);
    more(hook, scratch);
    if has_actor {
        ancestors::collect(hook);
    }
    ring::emit(scratch);
    scratch.end();
}

/// Describes the current process apart from any access. `false` when it was at it already, on this CPU.
#[inline(always)]
pub fn process(hook: u32, keep: impl FnOnce(&Record)) -> bool {
    let Some(scratch) = Scratch::of(hook) else { return false };
    if !scratch.begin(TAG_DOER, Match::new(TARGET_NONE, 0, 0)) {
        return false;
    }
    capture_process(hook);
    ancestors::collect(hook);
    scratch.finish();
    keep(&scratch.record);
    scratch.end();
    true
}

/// The current process, without its ancestors.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn capture_process(hook: u32) -> u32 {
    let Some(scratch) = Scratch::of(hook) else { return 0 };
    // SAFETY: the helper only returns an address.
    let task = unsafe { bpf_get_current_task() } as Kernel;
    task::describe(scratch, task);
    let exe = task::exe(task);
    path::section(
        hook,
        SECTION_EXE,
        Probe::pointer(exe, Field::FileMnt),
        Probe::pointer(exe, Field::FileDentry),
    );
    args::collect(scratch, task);
    let fs = Probe::pointer(task, Field::TaskFs);
    path::section(
        hook,
        SECTION_CWD,
        Probe::pointer(fs, Field::FsPwdMnt),
        Probe::pointer(fs, Field::FsPwdDentry),
    );
    path::cgroup(hook, scratch, task);
    0
}
