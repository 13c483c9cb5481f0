//! A stream or seqpacket unix socket is connected to a listening one. The object is the peer's, so the path the actor
//! named, its links and mounts do not matter.

use aya_ebpf::macros::fentry;
use aya_ebpf::programs::FEntryContext;
use monitor_abi::fields::Field;
use monitor_abi::probe::PROBE_UNIX;
use monitor_abi::record::{TAG_UNIX, UnixObject};

use super::Hook;
use crate::capture::{self, Found, task};
use crate::matching::{self, Match};
use crate::own;
use crate::reader::{Kernel, Probe, Reader};

/// `int security_unix_stream_connect(struct sock *sock, struct sock *other, struct sock *newsk)`
#[fentry(function = "security_unix_stream_connect")]
pub fn unix_connect_fentry(ctx: FEntryContext) -> i32 {
    connected(ctx.arg(1), ctx.arg(1), Hook::UnixConnect);
    0
}

/// `other` is the socket at the far end: the listening one, or after the connect the one made for it. `listener` holds who
/// listens: that socket itself, or after the connect the one that connected.
///
/// VERIFIER: a typed load of a `unix_sock` member through a `struct sock *` is refused on every kernel, hence `Probe`.
#[inline(always)]
pub fn connected(other: Kernel, listener: Kernel, hook: Hook) {
    let dentry = Probe::pointer(other, Field::UnixDentry);
    if dentry.is_null() {
        return;
    }
    let inode = Probe::pointer(dentry, Field::DentryInode);
    if own::is_probe() {
        own::answer(PROBE_UNIX, matching::key::<Probe>(inode), 0);
    }
    if let Some(found) = matching::socket(inode, dentry) {
        report(other, listener, found, hook);
    }
}

#[inline(never)]
fn report(other: Kernel, listener: Kernel, matched: Match, hook: Hook) {
    let dentry = Probe::pointer(other, Field::UnixDentry);
    let key = matching::key::<Probe>(Probe::pointer(dentry, Field::DentryInode));
    let found = Found { tag: TAG_UNIX, matched, mnt: Probe::pointer(other, Field::UnixMnt), dentry };
    capture::access(hook, &found, |object: &mut UnixObject| {
        object.ino = key.ino;
        object.dev = key.dev;
        object.peer_tgid = task::number(Probe::pointer(listener, Field::SockPeerPid));
    });
}
