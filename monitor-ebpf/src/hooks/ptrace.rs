//! A process gets control of another: ptrace(2), /proc/PID/mem, process_vm_writev(2), pidfd_getfd(2). Whoever controls a process that rules
//! allow can use its doors in its name.

use monitor_abi::fields::Field;
use monitor_abi::record::{PROCESS_CONTROLLED, ProcessObject, TAG_PROCESS, TARGET_NONE};

use super::Hook;
use super::attach::{Arguments, function};
use crate::again::Same;
use crate::capture::{self, Found, Place, task};
use crate::maps::EXECUTABLES;
use crate::matching::{self, Match};
use crate::reader::{Kernel, Reader};

/// Reading what /proc shows of a process is less.
/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/ptrace.h#L61>
const PTRACE_MODE_ATTACH: u32 = 2;

function! {
    /// `int security_ptrace_access_check(struct task_struct *child, unsigned int mode)`
    "security_ptrace_access_check", ptrace_fentry, ptrace_kprobe, controlled
}

#[inline(always)]
fn controlled<A: Arguments>(ctx: &A) {
    if ctx.argument(1) as u32 & PTRACE_MODE_ATTACH == 0 {
        return;
    }
    let child = ctx.pointer(0);
    let exe = task::exe::<A::Reader>(child);
    in_its_name::<A::Reader>(child, exe, Hook::Ptrace, PROCESS_CONTROLLED);
}

/// Reports that the current process acts in the name of one that runs `exe`, if that is a file that rules name.
#[inline(always)]
pub fn in_its_name<R: Reader>(process: Kernel, exe: Kernel, hook: Hook, how: u32) {
    let inode = R::pointer(exe, Field::FileInode);
    let key = matching::key::<R>(inode);
    // SAFETY: the daemon replaces whole values, so a reader sees the old or the new one.
    if unsafe { EXECUTABLES.get(key) }.is_none() {
        return;
    }
    let found = Found {
        tag: TAG_PROCESS,
        matched: Match::new(TARGET_NONE, 0, 0),
        same: Same::NEVER,
        place: Place::of_file::<R>(exe),
        other: Place::NONE,
    };
    let tgid = R::read(process, Field::TaskTgid);
    let start = R::read(R::pointer(process, Field::TaskLeader), Field::TaskStart);
    let flags = task::exe_flags::<R>(process, inode);
    capture::access::<R, _>(hook, &found, |object: &mut ProcessObject| {
        object.exe_ino = key.ino;
        object.exe_dev = key.dev;
        object.tgid = tgid;
        object.start = start;
        object.flags = flags;
        object.how = how;
    });
}
