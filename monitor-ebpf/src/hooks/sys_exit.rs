//! The `syscall` backend: what a finished system call left in the file table. For kernels that attach nothing closer.
//!
//! It sees the same kernel objects as the other hooks, but not what never becomes a descriptor (io_uring, failed calls).

use aya_ebpf::helpers::bpf_get_current_task;
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use monitor_abi::fields::Field;
use monitor_abi::probe::PROBE_FILE;

use super::syscalls::{self, Left};
use super::{Hook, file_open, unix_connect};
use crate::reader::{Kernel, Probe, Reader, has, value};
use crate::{matching, own};

/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/socket.h#L190>
const AF_UNIX: u16 = 1;

/// The call came through a 32-bit entry.
/// <https://elixir.bootlin.com/linux/v6.12/source/arch/x86/include/asm/thread_info.h#L218>
const TS_COMPAT: u32 = 2;

/// An open that cannot read or write.
const O_PATH: u32 = 0o10_000_000;

/// `S_IFMT` and `S_IFSOCK`.
const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;

/// `TP_PROTO(struct pt_regs *regs, long ret)`
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn sys_exit_raw(ctx: RawTracePointContext) -> i32 {
    finished(ctx.arg(0), ctx.arg(1));
    0
}

#[inline(always)]
fn finished(regs: Kernel, result: i64) {
    // Failed calls leave nothing behind, but a refused or interrupted connect may: the socket tells.
    let number: u32 = Probe::read(regs, Field::RegsSyscall);
    let left = if has(Field::TaskThreadStatus) {
        let native = syscalls::native(number);
        let compat = syscalls::compat(number);
        if native.is_none() && compat.is_none() {
            return;
        }
        let status: u32 = Probe::read(task(), Field::TaskThreadStatus);
        if status & TS_COMPAT == 0 { native } else { compat }
    } else {
        syscalls::native(number)
    };
    match left {
        Some(Left::File) if result >= 0 => opened(result as u32, Hook::SysExit),
        Some(Left::Connection) if result == 0 => connected(Probe::read::<u64>(regs, Field::RegsArg0) as u32),
        Some(Left::File | Left::Connection) | None => {}
    }
}

#[inline(always)]
pub fn opened(fd: u32, hook: Hook) {
    let file = file(fd);
    let flags: u32 = Probe::read(file, Field::FileFlags);
    if flags & O_PATH == 0 {
        file_open::opened::<Probe>(file, hook);
    } else if own::is_probe() {
        // A socket cannot be opened, so the daemon looks at it with O_PATH.
        own::answer(PROBE_FILE, matching::key::<Probe>(Probe::pointer(file, Field::FileInode)), 0);
    }
}

#[inline(always)]
fn connected(fd: u32) {
    connected_file(file(fd), Hook::SysExit);
}

/// A connected socket, if the file is one.
#[inline(always)]
pub fn connected_file(file: Kernel, hook: Hook) {
    let mode: u16 = Probe::read(Probe::pointer(file, Field::FileInode), Field::InodeMode);
    if mode & S_IFMT != S_IFSOCK {
        return;
    }
    let sk = Probe::pointer(Probe::pointer(file, Field::FilePrivate), Field::SocketSk);
    if Probe::read::<u16>(sk, Field::SockFamily) == AF_UNIX {
        unix_connect::connected(Probe::pointer(sk, Field::UnixPeer), sk, hook);
    }
}

/// The current process's open file with this descriptor.
#[inline(always)]
fn file(fd: u32) -> Kernel {
    let table = Probe::pointer(Probe::pointer(task(), Field::TaskFiles), Field::FilesFdt);
    if fd >= Probe::read::<u32>(table, Field::FdtableMax) {
        return core::ptr::null();
    }
    let files = Probe::pointer(table, Field::FdtableFd);
    value::<usize>(files.wrapping_add(fd as usize * size_of::<usize>())) as Kernel
}

#[inline(always)]
fn task() -> Kernel {
    // SAFETY: the helper only returns an address.
    unsafe { bpf_get_current_task() as Kernel }
}
