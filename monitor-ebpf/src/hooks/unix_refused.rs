//! A connect to a unix socket that failed. The kernel gave up before it had, or looked at, the listening socket, so only the path that
//! the actor named is known; the daemon finds out where it leads.

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel_str, bpf_probe_read_user, bpf_probe_read_user_str};
use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use monitor_abi::record::{SECTION_SOURCE, TAG_UNIX, TARGET_NONE, UnixObject};
use monitor_abi::repeat::{REFUSED, SUN_PATH_MAX, of_path};

use super::Hook;
use crate::again::Same;
use crate::capture::scratch::Memory;
use crate::capture::{self, Found, Place};
use crate::matching::Match;
use crate::reader::{Probe, sealed};

const EPERM: i32 = 1;
const EACCES: i32 = 13;
const ECONNREFUSED: i32 = 111;

/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/socket.h#L190>
const AF_UNIX: u16 = 1;

/// Where `sockaddr_un` has its path, and how long that is with an end.
const SUN_PATH: u64 = 2;
const SUN_PATH_LENGTH: u32 = 109;

/// `int unix_stream_connect(struct socket *sock, struct sockaddr *uaddr, int addr_len, int flags)`
#[fexit(function = "unix_stream_connect")]
pub fn unix_refused_fexit(ctx: FExitContext) -> i32 {
    let (address, result): (usize, i32) = (ctx.arg(1), ctx.arg(4));
    if is_refusal(i64::from(result)) {
        refused(address as u64, -result, Memory::Kernel);
    }
    0
}

/// connect(2) failed with this result; the address is the caller's.
#[inline(always)]
pub fn called(address: u64, result: i64) {
    let mut family = 0_u16;
    // SAFETY: the destination is as long as the helper is told.
    let read = unsafe { bpf_probe_read_user((&raw mut family).cast(), 2, address as *const _) };
    if read == 0 && family == AF_UNIX {
        refused(address, -(result as i32), Memory::User);
    }
}

#[inline(always)]
pub fn is_refusal(result: i64) -> bool {
    matches!(-(result as i32), EPERM | EACCES | ECONNREFUSED)
}

#[inline(always)]
fn refused(address: u64, errno: i32, memory: Memory) {
    if sealed() {
        return;
    }
    let path = address.wrapping_add(SUN_PATH);
    let object = hash(path, memory as u32);
    // An abstract name leads to no file, and is empty as a string.
    if object == 0 {
        return;
    }
    let found = Found {
        tag: TAG_UNIX,
        matched: Match::new(TARGET_NONE, 0, 0),
        same: Same { object, device: errno as u32, what: TAG_UNIX | REFUSED },
        place: Place::NONE,
        other: Place::NONE,
    };
    capture::access_with::<Probe, _>(
        Hook::UnixRefused,
        &found,
        |object: &mut UnixObject| {
            object.ino = 0;
            object.dev = 0;
            object.peer_tgid = 0;
            object.errno = errno as u32;
            object.generation = 0;
        },
        |scratch| scratch.named_section(SECTION_SOURCE, path, memory),
    );
}

/// Zero for no path. By itself, because the stack of capturing has no room for a path.
#[inline(never)]
fn hash(path: u64, memory: u32) -> u64 {
    let mut words = [0; SUN_PATH_MAX / 8];
    let place = (&raw mut words).cast();
    // SAFETY: the place has the room; the helpers check the source.
    let length = unsafe {
        if memory == Memory::Kernel as u32 {
            bpf_probe_read_kernel_str(place, SUN_PATH_LENGTH, path as *const _)
        } else {
            bpf_probe_read_user_str(place, SUN_PATH_LENGTH, path as *const _)
        }
    };
    if length <= 1 { 0 } else { of_path(&words) }
}
