//! The same through io_uring: no system call of the kind that is watched for.

use std::ffi::CString;
use std::net::SocketAddrV4;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use io_uring::types::{DestinationSlot, Fd};
use io_uring::{IoUring, Probe, opcode, squeue};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, socket};

/// `how` is inline, async, poll or direct.
pub fn open(how: &str, path: &str) -> Result<()> {
    let mut ring = ring(how)?;
    let path = CString::new(path)?;
    let mut open = opcode::OpenAt::new(Fd(libc::AT_FDCWD), path.as_ptr()).flags(libc::O_RDONLY);
    if how == "direct" {
        ring.submitter().register_files_sparse(1).context("a table of files without descriptors")?;
        open = open.file_index(Some(DestinationSlot::auto_target()));
    }
    submit(&mut ring, how, open.build())
}

pub fn connect(how: &str, path: &str) -> Result<()> {
    let mut ring = ring(how)?;
    let address = SocketAddrUnix::new(Path::new(path))?;
    let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    let (address, length) = raw(&address)?;
    let connect = opcode::Connect::new(Fd(socket.as_raw_fd()), (&raw const address).cast(), length).build();
    submit(&mut ring, how, connect)
}

pub fn rename(from: &str, to: &str) -> Result<()> {
    let (from, to) = (CString::new(from)?, CString::new(to)?);
    let here = || Fd(libc::AT_FDCWD);
    change(opcode::RenameAt::CODE, opcode::RenameAt::new(here(), from.as_ptr(), here(), to.as_ptr()).build())
}

pub fn link(from: &str, to: &str) -> Result<()> {
    let (from, to) = (CString::new(from)?, CString::new(to)?);
    let here = || Fd(libc::AT_FDCWD);
    change(opcode::LinkAt::CODE, opcode::LinkAt::new(here(), from.as_ptr(), here(), to.as_ptr()).build())
}

pub fn unlink(path: &str) -> Result<()> {
    let path = CString::new(path)?;
    change(opcode::UnlinkAt::CODE, opcode::UnlinkAt::new(Fd(libc::AT_FDCWD), path.as_ptr()).build())
}

fn change(code: u8, entry: squeue::Entry) -> Result<()> {
    let mut ring = ring("inline")?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    ensure!(probe.is_supported(code), "too old");
    submit(&mut ring, "inline", entry)
}

/// `how` is connect or fast-open.
pub fn tcp(how: &str, address: &str) -> Result<()> {
    let mut ring = ring("inline")?;
    let address: SocketAddrV4 = address.parse()?;
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    let mut raw = libc::sockaddr_in {
        sin_family: libc::sa_family_t::try_from(libc::AF_INET)?,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
        sin_zero: [0; 8],
    };
    let length = u32::try_from(size_of::<libc::sockaddr_in>())?;
    let fd = Fd(socket.as_raw_fd());
    if how == "connect" {
        let connect = opcode::Connect::new(fd, (&raw const raw).cast(), length).build();
        return submit(&mut ring, "inline", connect);
    }
    let mut byte = [b'x'];
    let mut data = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let message = libc::msghdr {
        msg_name: (&raw mut raw).cast(),
        msg_namelen: length,
        msg_iov: &raw mut data,
        msg_iovlen: 1,
        msg_control: std::ptr::null_mut(),
        msg_controllen: 0,
        msg_flags: 0,
    };
    let flags = u32::try_from(libc::MSG_FASTOPEN)?;
    let begun =
        submit(&mut ring, "inline", opcode::SendMsg::new(fd, &raw const message).flags(flags).build());
    match begun {
        // It need not wait for the other end.
        Err(error) if is(&error, libc::EINPROGRESS) => Ok(()),
        result => result,
    }
}

fn ring(how: &str) -> Result<IoUring> {
    let mut builder = IoUring::builder();
    if how == "poll" {
        builder.setup_sqpoll(100);
    }
    let ring = builder.build(4).context("set up a ring")?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    ensure!(probe.is_supported(opcode::OpenAt::CODE) && probe.is_supported(opcode::Connect::CODE), "too old");
    Ok(ring)
}

fn submit(ring: &mut IoUring, how: &str, entry: squeue::Entry) -> Result<()> {
    let entry = match how {
        "async" => entry.flags(squeue::Flags::ASYNC),
        "inline" | "poll" | "direct" => entry,
        other => bail!("what is {other}?"),
    };
    // SAFETY: what the entry points to lives in the caller until the request is complete.
    unsafe { ring.submission().push(&entry)? };
    ring.submit_and_wait(1)?;
    let result = ring.completion().next().context("no completion")?.result();
    if result >= 0 { Ok(()) } else { Err(std::io::Error::from_raw_os_error(-result).into()) }
}

fn is(error: &anyhow::Error, number: i32) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.raw_os_error() == Some(number))
}

fn raw(address: &SocketAddrUnix) -> Result<(libc::sockaddr_un, u32)> {
    let path = address.path_bytes().context("no path")?;
    let family = libc::sa_family_t::try_from(libc::AF_UNIX)?;
    let mut raw = libc::sockaddr_un { sun_family: family, sun_path: [0; 108] };
    for (place, byte) in raw.sun_path.iter_mut().zip(path) {
        *place = byte.cast_signed();
    }
    Ok((raw, u32::try_from(size_of::<libc::sockaddr_un>())?))
}
