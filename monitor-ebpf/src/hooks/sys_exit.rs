//! The `syscall` backend: what a finished system call left in the file table. For kernels that attach nothing closer.
//!
//! It sees the same kernel objects as the other hooks, but not what never becomes a descriptor (io_uring, failed calls).

use aya_ebpf::helpers::bpf_get_current_task;
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use monitor_abi::fields::Field;

use super::syscalls::{self, Left};
use super::{Hook, doer, file_open, unix_connect, unix_refused};
use crate::reader::{Kernel, Probe, Reader, Typed, has, typed_task, value};

/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/socket.h#L190>
const AF_UNIX: u16 = 1;

/// The call came through a 32-bit entry.
/// <https://elixir.bootlin.com/linux/v6.12/source/arch/x86/include/asm/thread_info.h#L218>
const TS_COMPAT: u32 = 2;

/// An open that cannot read or write.
const O_PATH: u32 = 0o10_000_000;

/// The kernel keeps them in an `int`.
const DESCRIPTOR_MAX: u64 = i32::MAX as u64;

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
    if unix_refused::is_refusal(result) {
        return failed(regs, result);
    }
    // Failed calls leave nothing behind; what is larger than a descriptor is a size or an address.
    if result as u64 > DESCRIPTOR_MAX {
        return;
    }
    let number: u32 = Probe::read(regs, Field::RegsSyscall);
    let left = match syscalls::native(number) {
        Some(left) => left,
        None => match syscalls::compat(number) {
            Some(left) if is_compat() => left,
            Some(_) | None => return,
        },
    };
    match left {
        // Whether it was an open after all is asked last, because that takes longer than most opens.
        Left::File => opened(result as u32, Hook::SysExit, || is_meant(regs)),
        Left::Connection if result == 0 && is_meant(regs) => {
            connected(Probe::read::<u64>(regs, Field::RegsArg0) as u32);
        }
        Left::Nothing(_) if result == 0 => doer::finished(number),
        Left::Connection | Left::Nothing(_) => {}
    }
}

#[inline(always)]
fn failed(regs: Kernel, result: i64) {
    let is_connect =
        matches!(syscalls::native(Probe::read(regs, Field::RegsSyscall)), Some(Left::Connection));
    if is_connect && has(Field::RegsArg1) && !is_compat() {
        unix_refused::called(Probe::read(regs, Field::RegsArg1), result);
    }
}

/// Whether the call's number means the same in the ABI it came through: each has numbers of its own.
///
/// VERIFIER: reads the number again, so that it is unknown. With the known ones, everything from there on is checked for each.
#[inline(always)]
fn is_meant(regs: Kernel) -> bool {
    syscalls::compat(Probe::read(regs, Field::RegsSyscall)).is_some() || !is_compat()
}

/// Whether it came through the 32-bit entry.
#[inline(always)]
pub fn is_compat() -> bool {
    has(Field::TaskThreadStatus) && Probe::read::<u32>(task(), Field::TaskThreadStatus) & TS_COMPAT != 0
}

#[inline(always)]
pub fn opened(fd: u32, hook: Hook, is_meant: impl FnOnce() -> bool) {
    let file = file(fd);
    // The daemon looks at a socket with O_PATH: it cannot be opened. To everyone else that is no use of what is there.
    let is_use = || Probe::read::<u32>(file, Field::FileFlags) & O_PATH == 0;
    if let Some(found) = file_open::target::<Probe>(file)
        && is_use()
        && is_meant()
    {
        file_open::report::<Probe>(file, found, hook);
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
        unix_connect::connected::<Probe>(Probe::pointer(sk, Field::UnixPeer), sk, hook);
    }
}

/// The current process's open file with this descriptor.
#[inline(always)]
pub fn file(fd: u32) -> Kernel {
    let (max, files) = match typed_task() {
        Some(task) => descriptors::<Typed>(task),
        None => descriptors::<Probe>(task()),
    };
    if fd >= max {
        return core::ptr::null();
    }
    value::<usize>(files.wrapping_add(fd as usize * size_of::<usize>())) as Kernel
}

/// How long a process's table of open files is, and where.
#[inline(always)]
fn descriptors<R: Reader>(task: Kernel) -> (u32, Kernel) {
    let table = R::pointer(R::pointer(task, Field::TaskFiles), Field::FilesFdt);
    (R::read(table, Field::FdtableMax), R::pointer(table, Field::FdtableFd))
}

#[inline(always)]
fn task() -> Kernel {
    // SAFETY: the helper only returns an address.
    unsafe { bpf_get_current_task() as Kernel }
}
