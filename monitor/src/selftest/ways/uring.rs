//! Through io_uring: no system call of the kind that is watched for. Kernels without it, and those where it is switched off, refuse.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use io_uring::types::{DestinationSlot, Fd};
use io_uring::{IoUring, opcode, squeue};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, socket};

use super::raw::path;
use super::timed;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Inline,
    /// By a worker.
    Async,
    /// By a thread of the kernel that looks for requests.
    Poll,
    /// Into a table of the ring instead of a descriptor.
    Direct,
}

const HERE: Fd = Fd(libc::AT_FDCWD);

pub(super) fn open(how: How, file: &Path) -> io::Result<u64> {
    let mut ring = ring(how)?;
    let file = path(file)?;
    let mut open = opcode::OpenAt::new(HERE, file.as_ptr()).flags(libc::O_RDONLY | libc::O_CLOEXEC);
    if how == How::Direct {
        ring.submitter().register_files_sparse(1)?;
        // A table has no use for what closes descriptors.
        open = open.flags(libc::O_RDONLY).file_index(Some(DestinationSlot::auto_target()));
    }
    submit(&mut ring, how, open.build())
}

pub(super) fn rename(from: &Path, to: &Path) -> io::Result<u64> {
    let (from, to) = (path(from)?, path(to)?);
    inline(opcode::RenameAt::new(HERE, from.as_ptr(), HERE, to.as_ptr()).build())
}

pub(super) fn link(from: &Path, to: &Path) -> io::Result<u64> {
    let (from, to) = (path(from)?, path(to)?);
    inline(opcode::LinkAt::new(HERE, from.as_ptr(), HERE, to.as_ptr()).build())
}

pub(super) fn unlink(file: &Path) -> io::Result<u64> {
    let file = path(file)?;
    inline(opcode::UnlinkAt::new(HERE, file.as_ptr()).build())
}

pub(super) fn connect_unix(how: How, file: &Path) -> io::Result<u64> {
    let mut ring = ring(how)?;
    let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    let address = SocketAddrUnix::new(file)?;
    let mut raw = libc::sockaddr_un { sun_family: family(libc::AF_UNIX)?, sun_path: [0; 108] };
    for (place, byte) in raw.sun_path.iter_mut().zip(address.path_bytes().unwrap_or_default()) {
        *place = byte.cast_signed();
    }
    let length = length_of(&raw)?;
    let connect = opcode::Connect::new(Fd(socket.as_raw_fd()), (&raw const raw).cast(), length);
    submit(&mut ring, how, connect.build())
}

pub(super) fn connect_tcp(address: SocketAddrV4) -> io::Result<u64> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    let raw = inet(address)?;
    let connect = opcode::Connect::new(Fd(socket.as_raw_fd()), (&raw const raw).cast(), length_of(&raw)?);
    inline(connect.build())
}

pub(super) fn fast_open(address: SocketAddrV4) -> io::Result<u64> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    let (mut raw, mut byte) = (inet(address)?, [b'\n']);
    let mut data = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    // SAFETY: all of it are numbers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = (&raw mut raw).cast();
    message.msg_namelen = length_of(&raw)?;
    message.msg_iov = &raw mut data;
    message.msg_iovlen = 1;
    let send = opcode::SendMsg::new(Fd(socket.as_raw_fd()), &raw const message);
    let before = crate::clock::since_boot();
    match inline(send.flags(libc::MSG_FASTOPEN.cast_unsigned()).build()) {
        // It need not wait for the other end.
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(before),
        result => result,
    }
}

fn ring(how: How) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    if how == How::Poll {
        builder.setup_sqpoll(100);
    }
    builder.build(4)
}

fn inline(entry: squeue::Entry) -> io::Result<u64> {
    submit(&mut ring(How::Inline)?, How::Inline, entry)
}

/// Everything that the entry points to lives in the caller until this returns.
fn submit(ring: &mut IoUring, how: How, entry: squeue::Entry) -> io::Result<u64> {
    let entry = if how == How::Async { entry.flags(squeue::Flags::ASYNC) } else { entry };
    timed(|| {
        // SAFETY: what the entry points to lives until the request is complete, which is waited for.
        unsafe { ring.submission().push(&entry) }.map_err(io::Error::other)?;
        ring.submit_and_wait(1)?;
        let completion = ring.completion().next().ok_or_else(|| io::Error::other("no completion"))?;
        let result = completion.result();
        if result >= 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(-result)) }
    })
}

fn inet(address: SocketAddrV4) -> io::Result<libc::sockaddr_in> {
    Ok(libc::sockaddr_in {
        sin_family: family(libc::AF_INET)?,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
        sin_zero: [0; 8],
    })
}

fn family(number: i32) -> io::Result<libc::sa_family_t> {
    libc::sa_family_t::try_from(number).map_err(io::Error::other)
}

fn length_of<T>(address: &T) -> io::Result<libc::socklen_t> {
    libc::socklen_t::try_from(size_of_val(address)).map_err(io::Error::other)
}
