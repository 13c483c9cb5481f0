//! A stream or seqpacket unix socket is connected to a listening one. The object is the peer's, so the path the actor
//! named, its links and mounts do not matter.

use aya_ebpf::helpers::generated::bpf_skc_to_unix_sock;
use monitor_abi::fields::Field;
use monitor_abi::probe::PROBE_UNIX;
use monitor_abi::record::{TAG_UNIX, UnixObject};

use super::Hook;
use super::attach::{Arguments, function};
use crate::again::Same;
use crate::capture::{self, Found, Place, task};
use crate::matching::{self, Match};
use crate::own;
use crate::reader::{Kernel, Probe, Reader, Typed};

function! {
    /// `int security_unix_stream_connect(struct sock *sock, struct sock *other, struct sock *newsk)`
    "security_unix_stream_connect", unix_connect_fentry, unix_connect_kprobe, entered
}

#[inline(always)]
fn entered<A: Arguments>(ctx: &A) {
    let other = ctx.pointer(1);
    if A::Reader::sealed() {
        // SAFETY: the helper checks that it is such a socket.
        let socket = unsafe { bpf_skc_to_unix_sock(other.cast_mut().cast()) } as Kernel;
        connected::<Typed>(socket, other, Hook::UnixConnect);
    } else {
        connected::<Probe>(other, other, Hook::UnixConnect);
    }
}

/// `other` is the socket at the far end: the listening one, or after the connect the one made for it. `listener` holds who
/// listens: that socket itself, or after the connect the one that connected.
///
/// VERIFIER: a typed load of a `unix_sock` member through a `struct sock *` is refused on every kernel, and the helper that gives it
/// its type is there since 5.16, hence `Probe` where it works.
#[inline(always)]
pub fn connected<R: Reader>(other: Kernel, listener: Kernel, hook: Hook) {
    let dentry = R::pointer(other, Field::UnixDentry);
    if dentry.is_null() {
        return;
    }
    let inode = R::pointer(dentry, Field::DentryInode);
    if own::is_probe() {
        own::answer(PROBE_UNIX, matching::key::<R>(inode), matching::generation::<R>(inode), 0);
    }
    if let Some(found) = matching::socket::<R>(inode, dentry) {
        report::<R>(other, listener, found, hook);
    }
}

/// A connected socket that someone has, however they came by it. `flags` says more of that.
#[inline(always)]
pub fn held(sk: Kernel, flags: u32, hook: Hook) {
    let other = Probe::pointer(sk, Field::UnixPeer);
    let dentry = Probe::pointer(other, Field::UnixDentry);
    if dentry.is_null() {
        return;
    }
    if let Some(found) = matching::socket::<Probe>(Probe::pointer(dentry, Field::DentryInode), dentry) {
        let found = found.with(flags);
        report::<Probe>(other, sk, found, hook);
    }
}

#[inline(never)]
fn report<R: Reader>(other: Kernel, listener: Kernel, matched: Match, hook: Hook) {
    let dentry = R::pointer(other, Field::UnixDentry);
    let inode = R::pointer(dentry, Field::DentryInode);
    let key = matching::key::<R>(inode);
    let same =
        Same { object: key.ino, device: key.dev, what: if matched.flags() == 0 { TAG_UNIX } else { 0 } };
    let place = Place { mnt: R::pointer(other, Field::UnixMnt), dentry };
    let peer_tgid = task::number::<R>(R::pointer(listener, Field::SockPeerPid));
    let found = Found { tag: TAG_UNIX, matched, same, place, other: Place::NONE };
    capture::access::<R, _>(hook, &found, |object: &mut UnixObject| {
        object.ino = key.ino;
        object.dev = key.dev;
        object.peer_tgid = peer_tgid;
        object.errno = 0;
        object.generation = matching::generation::<R>(inode);
    });
}
