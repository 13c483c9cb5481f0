//! The same access again and again: the first of a window is a record, the others are counted. So a process that does one thing as fast
//! as it can neither fills the ring nor hides what others do.

use core::ptr;

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::helpers::bpf_ktime_get_boot_ns;
use monitor_abi::counters::Counter;
use monitor_abi::repeat::{Repeat, RepeatKey, WINDOW};

use crate::capture::task;
use crate::maps::{REPEATS, count};
use crate::own;
use crate::reader::{Reader, with_reader};

/// In nanoseconds; set by the daemon. Zero: each access is a record.
#[unsafe(no_mangle)]
static REPEAT_WINDOW: u64 = WINDOW;

/// What an access is done to, as far as two of them can be the same.
#[derive(Clone, Copy)]
pub struct Same {
    pub object: u64,
    pub device: u32,
    /// What is done. Zero: each one is another.
    pub what: u32,
}

impl Same {
    pub const NEVER: Self = Self { object: 0, device: 0, what: 0 };
}

/// VERIFIER: a function of its own for the stack it takes.
#[inline(never)]
fn role() -> u32 {
    with_reader!(own_role())
}

#[inline(always)]
fn own_role<R: Reader>() -> u32 {
    task::role::<R>(R::current())
}

/// Whether the current process did the same a moment ago. If so, it is counted.
#[inline(never)]
pub fn is_repeat(same: Same, target: u32) -> bool {
    // SAFETY: the address is that of the static.
    let window = unsafe { ptr::read_volatile(&raw const REPEAT_WINDOW) };
    if same.what == 0 || window == 0 {
        return false;
    }
    let key = RepeatKey {
        start: own::start(),
        object: same.object,
        device: same.device,
        tgid: (bpf_get_current_pid_tgid() >> 32) as u32,
        target,
        what: same.what,
        role: role(),
        pad: 0,
    };
    // SAFETY: the helper has no precondition.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let Some(repeat) = REPEATS.get_ptr_mut(&key) else {
        // A map that is full forgets its oldest entry by itself.
        let _ = REPEATS.insert(key, Repeat { since: now, last: now, count: 0 }, 0);
        return false;
    };
    // SAFETY: the value is this CPU's.
    unsafe {
        if now.wrapping_sub((*repeat).since) >= window {
            (*repeat).since = now;
            return false;
        }
        (*repeat).last = now;
        (*repeat).count += 1;
    }
    count(Counter::Repeated);
    true
}
