//! Ways to connect to a unix socket.

use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use caps::{CapSet, Capability};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::mount_bind;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::thread::UnshareFlags;

use super::super::scene::{Door, Place};
use super::uring::{self, How};
use super::{Way, connection, own_mounts, raw, second, timed, way};
use crate::model::Action;

pub(super) const WAYS: &[Way] = &[
    connection("unix.stream", Door::Runtime, |place| stream(&place.socket())),
    connection("unix.nonblocking", Door::Runtime, |place| {
        of_type(SocketType::STREAM, SocketFlags::NONBLOCK, &place.socket())
    }),
    connection("unix.seqpacket", Door::Packets, |place| {
        of_type(SocketType::SEQPACKET, SocketFlags::empty(), &place.packets())
    }),
    connection("unix.made_anew", Door::Anew, |place| {
        fs::remove_file(place.anew())?;
        let _listener = UnixListener::bind(place.anew())?;
        stream(&place.anew())
    }),
    connection("unix.symlink", Door::Runtime, |place| {
        symlink(place.socket(), place.new_outside())?;
        stream(&place.new_outside())
    }),
    connection("unix.hard_link", Door::Runtime, |place| {
        fs::hard_link(place.socket(), place.new_outside())?;
        stream(&place.new_outside())
    }),
    connection("unix.renamed", Door::Runtime, |place| {
        fs::rename(place.socket(), place.new_outside())?;
        let connected = stream(&place.new_outside());
        // The next ways need it.
        fs::rename(place.new_outside(), place.socket())?;
        connected
    }),
    connection("unix.bind_mount", Door::Runtime, |place| {
        own_mounts()?;
        mount_bind(place.socket(), place.outside())?;
        stream(&place.outside())
    })
    .if_possible(),
    connection("unix.network_namespace", Door::Runtime, |place| {
        raw::unshare(UnshareFlags::NEWNET)?;
        stream(&place.socket())
    })
    .if_possible(),
    connection("unix.proc_fd", Door::Runtime, |place| {
        let named = openat(CWD, place.socket(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        stream(&PathBuf::from(format!("/proc/self/fd/{}", named.as_raw_fd())))
    }),
    connection("unix.uring", Door::Runtime, |place| uring::connect_unix(How::Inline, &place.socket()))
        .if_possible(),
    connection("unix.uring_poll", Door::Runtime, |place| uring::connect_unix(How::Poll, &place.socket()))
        .if_possible(),
    connection("unix.refused", Door::Deaf, |place| {
        fails(io::ErrorKind::ConnectionRefused, || UnixStream::connect(place.deaf()))
    }),
    // Not by another user, who does not get into the directory.
    connection("unix.forbidden", Door::Forbidden, |place| {
        caps::drop(None, CapSet::Effective, Capability::CAP_DAC_OVERRIDE).map_err(io::Error::other)?;
        fails(io::ErrorKind::PermissionDenied, || UnixStream::connect(place.forbidden()))
    }),
    way("unix.handed_over", Door::Runtime, Action::Receive, |place| second::hand(place, connected(place)?))
        .with(second::receive),
    way("unix.stolen", Door::Runtime, Action::Receive, |place| second::lose(place, connected(place)?))
        .with(second::steal),
];

fn stream(path: &Path) -> io::Result<u64> {
    timed(|| UnixStream::connect(path))
}

fn connected(place: &Place) -> io::Result<UnixStream> {
    UnixStream::connect(place.socket())
}

fn of_type(kind: SocketType, flags: SocketFlags, path: &Path) -> io::Result<u64> {
    let socket = socket_with(AddressFamily::UNIX, kind, flags | SocketFlags::CLOEXEC, None)?;
    let address = SocketAddrUnix::new(path)?;
    timed(|| Ok(connect(&socket, &address)?))
}

/// Does what cannot succeed.
fn fails<T>(how: io::ErrorKind, access: impl FnOnce() -> io::Result<T>) -> io::Result<u64> {
    timed(|| match access() {
        Err(error) if error.kind() == how => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::other("it did not fail")),
    })
}
