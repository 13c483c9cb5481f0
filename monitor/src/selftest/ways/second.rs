//! What two processes do together: the child opens something, and one that it starts uses it. That one is told of by its number of the
//! descriptor, and has the child's arguments.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getppid, pidfd_getfd, pidfd_open};

use super::super::scene::Place;
use super::super::touch::Answer;
use super::timed;

/// Sends it through a socket.
pub(super) fn hand(place: &Place, opened: impl Into<OwnedFd>) -> io::Result<u64> {
    let opened = opened.into();
    let (own, other) = UnixStream::pair()?;
    let second = start(place, 0, OwnedFd::from(other).into())?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [opened.as_fd()];
    if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::Error::other("no room for a descriptor"));
    }
    let before = timed(|| Ok(sendmsg(&own, &[IoSlice::new(b"x")], &mut control, SendFlags::empty())?))?;
    ended(second)?;
    Ok(before)
}

/// On the other side, which has the socket as its stdin.
pub(super) fn receive(_stdin: i32) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(io::stdin(), &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::empty())?;
    match control.drain().any(|message| matches!(message, RecvAncillaryMessage::ScmRights(_))) {
        true => Ok(()),
        false => Err(io::Error::other("nothing was handed over")),
    }
}

/// Lets the other process take it.
pub(super) fn lose(place: &Place, opened: impl Into<OwnedFd>) -> io::Result<u64> {
    let opened = opened.into();
    timed(|| ended(start(place, opened.as_raw_fd(), Stdio::null())?))
}

pub(super) fn steal(fd: i32) -> io::Result<()> {
    let parent = getppid().ok_or_else(|| io::Error::other("the other process is gone"))?;
    let parent = pidfd_open(parent, PidfdFlags::empty())?;
    pidfd_getfd(parent, fd, PidfdGetfdFlags::empty())?;
    Ok(())
}

/// Leaves it open for the other process.
pub(super) fn leave(place: &Place, opened: &OwnedFd) -> io::Result<()> {
    fcntl_setfd(opened, FdFlags::empty())?;
    ended(start(place, opened.as_raw_fd(), Stdio::null())?)
}

pub(super) fn write(fd: i32) -> io::Result<()> {
    // SAFETY: the parent left it open for this process, which does not close it.
    let left = unsafe { BorrowedFd::borrow_raw(fd) };
    rustix::io::write(left, b"kind")?;
    Ok(())
}

fn start(place: &Place, fd: i32, stdin: Stdio) -> io::Result<Child> {
    let [name, arguments @ ..] = place.arguments();
    // Not by its path: what runs may have been replaced by an upgrade.
    Command::new("/proc/self/exe")
        .arg0(name)
        .args(arguments)
        .arg(fd.to_string())
        .stdin(stdin)
        .stdout(Stdio::piped())
        .spawn()
}

fn ended(second: Child) -> io::Result<()> {
    let output = second.wait_with_output()?;
    match serde_json::from_slice(&output.stdout) {
        Ok(Answer::Done { .. }) => Ok(()),
        Ok(Answer::Refused { why }) => Err(io::Error::other(why)),
        Err(_) => Err(io::Error::other(format!("the other process ended with {}", output.status))),
    }
}
