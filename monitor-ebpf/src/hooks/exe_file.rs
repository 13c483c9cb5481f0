//! A process has the kernel say that it runs another file: `PR_SET_MM_EXE_FILE` and `PR_SET_MM_MAP` of prctl(2). From then on it passes
//! for whoever runs that file, so it is told before, while the kernel still has the file it does run.

use aya_ebpf::helpers::bpf_probe_read_user;
use monitor_abi::record::PROCESS_MASQUERADES;

use super::attach::{Arguments, function};
use super::ptrace::in_its_name;
use super::{Hook, sys_exit};
use crate::reader::{Probe, Reader};

function! {
    /// `int replace_mm_exe_file(struct mm_struct *mm, struct file *new_exe_file)`
    ///
    /// Since Linux 5.15.
    "replace_mm_exe_file", exe_file_fentry, exe_file_kprobe, replaced
}

#[inline(always)]
fn replaced<A: Arguments>(ctx: &A) {
    in_its_name::<A::Reader>(A::Reader::current(), ctx.pointer(1), Hook::ExeFile, PROCESS_MASQUERADES);
}

function! {
    /// `int security_task_prctl(int option, unsigned long arg2, unsigned long arg3, unsigned long arg4, unsigned long arg5)`
    ///
    /// What older kernels have: the descriptor, and not yet its file. Another thread of the process can put another file there in between.
    "security_task_prctl", prctl_fentry, prctl_kprobe, asked
}

#[inline(always)]
fn asked<A: Arguments>(ctx: &A) {
    /// <https://elixir.bootlin.com/linux/v5.10/source/include/uapi/linux/prctl.h#L113>
    const PR_SET_MM: u32 = 35;
    const PR_SET_MM_EXE_FILE: usize = 13;
    const PR_SET_MM_MAP: usize = 14;
    /// Of `exe_fd` in `struct prctl_mm_map`, which every architecture has alike.
    const MAP_EXE_FD: usize = 100;
    if ctx.argument(0) as u32 != PR_SET_MM {
        return;
    }
    let argument = ctx.argument(2);
    let fd = match ctx.argument(1) {
        PR_SET_MM_EXE_FILE => argument as u32,
        PR_SET_MM_MAP => number_of_user(argument.wrapping_add(MAP_EXE_FD)),
        _ => return,
    };
    in_its_name::<Probe>(Probe::current(), sys_exit::file(fd), Hook::ExeFile, PROCESS_MASQUERADES);
}

/// No descriptor where it cannot be read: then the kernel cannot either.
#[inline(always)]
fn number_of_user(address: usize) -> u32 {
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_user(address as *const u32) }.unwrap_or(u32::MAX)
}
