//! A connect to a unix socket that failed. The kernel gave up before it had, or looked at, the listening socket, so only the path that
//! the actor named is known; the daemon finds out where it leads.

use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use monitor_abi::record::{SECTION_SOURCE, TAG_UNIX, TARGET_NONE, UnixObject};

use super::Hook;
use crate::again::Same;
use crate::capture::{self, Found};
use crate::matching::Match;
use crate::reader::{Kernel, value};

const EPERM: i32 = 1;
const EACCES: i32 = 13;
const ECONNREFUSED: i32 = 111;

/// Where `sockaddr_un` has its path.
const SUN_PATH: usize = 2;

/// `int unix_stream_connect(struct socket *sock, struct sockaddr *uaddr, int addr_len, int flags)`
#[fexit(function = "unix_stream_connect")]
pub fn unix_refused_fexit(ctx: FExitContext) -> i32 {
    let (address, result): (usize, i32) = (ctx.arg(1), ctx.arg(4));
    if matches!(-result, EPERM | EACCES | ECONNREFUSED) {
        refused((address as Kernel).wrapping_add(SUN_PATH), -result);
    }
    0
}

#[inline(always)]
fn refused(path: Kernel, errno: i32) {
    // An abstract name leads to no file.
    if value::<u8>(path) == 0 {
        return;
    }
    let found = Found {
        tag: TAG_UNIX,
        matched: Match::new(TARGET_NONE, 0, 0),
        same: Same::NEVER,
        mnt: core::ptr::null(),
        dentry: core::ptr::null(),
    };
    capture::access_with(
        Hook::UnixRefused,
        &found,
        |object: &mut UnixObject| {
            object.ino = 0;
            object.dev = 0;
            object.peer_tgid = 0;
            object.errno = errno as u32;
            object.pad = 0;
        },
        |_, scratch| scratch.name_section(SECTION_SOURCE, path),
    );
}
