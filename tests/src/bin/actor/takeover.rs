//! Getting hold of what another process opened, or of the process.

use std::env;
use std::fs::OpenOptions;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitStatus};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

fn open(kind: &str, path: &str) -> Result<OwnedFd> {
    Ok(match kind {
        "file" => OpenOptions::new().read(true).open(path)?.into(),
        "unix" => UnixStream::connect(path)?.into(),
        "tcp" => TcpStream::connect(path.parse::<SocketAddr>()?)?.into(),
        other => bail!("what is {other}?"),
    })
}

/// Opens something and hands it to a child, which is another process of the same program.
pub fn hand(kind: &str, path: &str) -> Result<()> {
    let (own, other) = UnixStream::pair()?;
    let opened = open(kind, path)?;
    let child = Command::new(env::current_exe()?).arg("receive").stdin(OwnedFd::from(other)).spawn()?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [opened.as_fd()];
    ensure!(control.push(SendAncillaryMessage::ScmRights(&fds)), "no room for a descriptor");
    sendmsg(&own, &[IoSlice::new(b"x")], &mut control, SendFlags::empty())?;
    ended(child)
}

pub fn receive() -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(std::io::stdin(), &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::empty())?;
    let received = control.drain().any(|message| matches!(message, RecvAncillaryMessage::ScmRights(_)));
    ensure!(received, "nothing was handed over");
    Ok(())
}

/// Opens something and lets a child take it.
pub fn lose(kind: &str, path: &str) -> Result<()> {
    let opened = open(kind, path)?;
    let (pid, fd) = (std::process::id().to_string(), opened.as_raw_fd().to_string());
    ended(Command::new(env::current_exe()?).args(["steal", &pid, &fd]).spawn()?)
}

/// Opens a file for a child to write to.
pub fn inherit(path: &str) -> Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty())?;
    ended(Command::new(env::current_exe()?).args(["inherited", &file.as_raw_fd().to_string()]).spawn()?)
}

pub fn inherited(fd: i32) -> Result<()> {
    // SAFETY: the parent left it open for this process.
    let file = unsafe { OwnedFd::from_raw_fd(fd) };
    rustix::io::write(file, b"kind").map(drop).context("write")
}

/// Opens a file, closes it, and becomes another program.
pub fn then(path: &str, program: &str, args: &[&str]) -> Result<()> {
    drop(OpenOptions::new().read(true).open(path)?);
    Err(Command::new(program).args(args).exec()).context("become another program")
}

pub fn steal(pid: i32, fd: i32) -> Result<()> {
    let pid = Pid::from_raw(pid).context("no process id")?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    pidfd_getfd(process, fd, PidfdGetfdFlags::empty()).map(drop).context("take the descriptor")
}

/// What a debugger does first.
pub fn control(pid: i32) -> Result<()> {
    // SAFETY: the request takes no pointers.
    let result = unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, 0, 0) };
    ensure!(result == 0, "{}", std::io::Error::last_os_error());
    Ok(())
}

/// Lets the parent control this process. Without a signal nothing stops it.
pub fn traced() -> Result<()> {
    // SAFETY: the request takes no arguments.
    let result = unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
    ensure!(result == 0, "{}", std::io::Error::last_os_error());
    Ok(())
}

fn ended(mut child: std::process::Child) -> Result<()> {
    let status: ExitStatus = child.wait()?;
    ensure!(status.success(), "the other process ended with {status}");
    Ok(())
}
