//! Describing an access at the moment of the hit, from the current task: a process that lives a millisecond is described
//! in full, and a node full of other work pays nothing.
//!
//! VERIFIER: the functions called in loops are *global* in BPF's sense (exported, numbers in and out): the kernel then checks
//! each once and not at every call. Loading is ten times faster, and on 5.10 possible at all.
//! <https://docs.kernel.org/bpf/verifier.html> and
//! <https://github.com/torvalds/linux/commit/51c39bb1d5d105a02e29aa7960f0a395086e6342>

pub mod ancestors;
mod args;
pub mod inside;
pub mod path;
pub mod scratch;
pub mod task;

use core::ptr;

use monitor_abi::counters::Counter;
use monitor_abi::fields::Field;
use monitor_abi::record::{
    Actor, HEAD_NO_ACTOR, HEAD_NUMBERS, SECTION_CWD, SECTION_EXE, SECTION_OBJECT, SECTION_OTHER, TAG_DOER,
    TARGET_NONE,
};

use self::scratch::{Record, Scratch};
use crate::again::{self, Same};
use crate::maps::count;
use crate::matching::Match;
use crate::own;
use crate::reader::{Kernel, Probe, Reader, Typed};
use crate::ring;

/// What a hook found.
pub struct Found {
    pub tag: u32,
    pub matched: Match,
    pub same: Same,
    /// The object's.
    pub place: Place,
    /// Where it comes from or goes to.
    pub other: Place,
}

/// A place in the file system; null where there is none. Without a mount it is one inside its file system.
#[derive(Clone, Copy)]
pub struct Place {
    pub mnt: Kernel,
    pub dentry: Kernel,
}

impl Place {
    pub const NONE: Self = Self::inside(ptr::null());

    #[inline(always)]
    pub const fn inside(dentry: Kernel) -> Self {
        Self { mnt: ptr::null(), dentry }
    }

    #[inline(always)]
    pub fn of_file<R: Reader>(file: Kernel) -> Self {
        Self { mnt: R::pointer(file, Field::FileMnt), dentry: R::pointer(file, Field::FileDentry) }
    }

    #[inline(always)]
    pub fn of_path<R: Reader>(path: Kernel) -> Self {
        Self { mnt: R::pointer(path, Field::PathMnt), dentry: R::pointer(path, Field::PathDentry) }
    }

    /// VERIFIER: not in a closure of the hook, which the compiler would hand the pointers to in memory, where they lose their type.
    #[inline(always)]
    fn section<R: Reader>(self, hook: u32, scratch: &mut Scratch, kind: u16) {
        if R::sealed() {
            inside::section(scratch, kind, self.dentry);
        } else {
            path::section(hook, kind, self.mnt, self.dentry);
        }
    }
}

/// Describes the access and hands it over; `fill` writes the object where it belongs in the record.
#[inline(always)]
pub fn access<R: Reader, T>(hook: impl Into<u32>, found: &Found, fill: impl FnOnce(&mut T)) {
    access_with::<R, T>(hook, found, fill, |_| {});
}

/// The same with sections of its own, which `more` adds.
#[inline(always)]
pub fn access_with<R: Reader, T>(
    hook: impl Into<u32>,
    found: &Found,
    fill: impl FnOnce(&mut T),
    more: impl FnOnce(&mut Scratch),
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
    if has_actor && R::sealed() {
        capture_numbers(scratch);
    } else if has_actor {
        capture_process(hook);
    } else {
        scratch.head().actor = Actor::default();
    }
    found.place.section::<R>(hook, scratch, SECTION_OBJECT);
    found.other.section::<R>(hook, scratch, SECTION_OTHER);
    more(scratch);
    if has_actor {
        ancestors::collect::<R>(hook);
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
    ancestors::collect::<Probe>(hook);
    scratch.finish();
    keep(&scratch.record);
    scratch.end();
    true
}

/// The current process without names: the daemon asks /proc for them.
///
/// VERIFIER: a function of its own for the stack it takes.
#[inline(never)]
fn capture_numbers(scratch: &mut Scratch) -> u32 {
    scratch.head().flags |= HEAD_NUMBERS;
    task::describe::<Typed>(scratch, Typed::current());
    0
}

/// The current process, without its ancestors.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn capture_process(hook: u32) -> u32 {
    let Some(scratch) = Scratch::of(hook) else { return 0 };
    let task = Probe::current();
    task::describe::<Probe>(scratch, task);
    let exe = task::exe::<Probe>(task);
    Place::of_file::<Probe>(exe).section::<Probe>(hook, scratch, SECTION_EXE);
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
