//! The `syscall` backend, for changes that leave nothing behind: fanotify says what was changed and which process did it, and that
//! may have ended by then. So the process is described here, at the end of its call.

use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_get_current_task, bpf_ktime_get_boot_ns};
use monitor_abi::doer::{AGAIN, CHANGE_MOUNT, Doing, bit};
use monitor_abi::fields::Field;
use monitor_abi::record::{
    CHANGE_LINK, CHANGE_MKDIR, CHANGE_RENAME, CHANGE_SYMLINK, CHANGE_TRUNCATE, CHANGE_UNLINK, CHANGE_XATTR,
};

use super::Hook;
use super::sys_exit::is_compat;
use super::syscalls::{self, Left};
use crate::maps::{DESCRIPTIONS, DOERS};
use crate::reader::{Kernel, Probe, Reader};
use crate::{capture, news, own};

/// A system call of this number succeeded.
///
/// VERIFIER: looks the number up again, in a function of its own: everything from there on is checked once and not for each of them.
#[inline(always)]
pub fn finished(number: u32) {
    describe_caller(number);
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn describe_caller(number: u32) -> u32 {
    let left = if is_compat() { syscalls::compat(number) } else { syscalls::native(number) };
    match left {
        Some(Left::Nothing(change)) => describe(change),
        Some(Left::File | Left::Connection) | None => 0,
    }
}

/// An io_uring request with this opcode succeeded.
/// <https://elixir.bootlin.com/linux/v6.12/source/include/uapi/linux/io_uring.h#L207>
#[inline(always)]
pub fn completed(opcode: u8) {
    let change = match opcode {
        35 => CHANGE_RENAME,
        36 => CHANGE_UNLINK,
        37 => CHANGE_MKDIR,
        38 => CHANGE_SYMLINK,
        39 => CHANGE_LINK,
        41 | 42 => CHANGE_XATTR,
        55 => CHANGE_TRUNCATE,
        _ => return,
    };
    describe(change);
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn describe(change: u32) -> u32 {
    if own::is_own() {
        return 0;
    }
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    // SAFETY: the helpers have no precondition, and the task is only read by `Probe`.
    let (now, task) = unsafe { (bpf_ktime_get_boot_ns(), bpf_get_current_task() as Kernel) };
    if change == CHANGE_MOUNT && own::is_in_node_mounts(task) {
        news::mounted();
    }
    let (start, memory) = (own::start(), Probe::read(task, Field::TaskMm));
    if let Some(doing) = DOERS.get_ptr_mut(&tgid) {
        // SAFETY: the value stays in the map's memory; another process's could be written here only if both had one number.
        let doing = unsafe { &mut *doing };
        if doing.start == start && doing.memory == memory && now.wrapping_sub(doing.first) < AGAIN {
            doing.kinds |= bit(change);
            doing.last = now;
            return 0;
        }
    }
    let doing = Doing { first: now, last: now, start, memory, kinds: bit(change), pad: 0 };
    if capture::process(Hook::Doer.into(), |record| {
        // A map that is full forgets its oldest entry by itself.
        let _ = DESCRIPTIONS.insert(tgid, record, 0);
    }) {
        let _ = DOERS.insert(tgid, doing, 0);
    }
    0
}
