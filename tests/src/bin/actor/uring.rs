//! The same through io_uring: no system call of the kind that is watched for.

use std::ffi::CString;
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
    ensure!(result >= 0, "{}", std::io::Error::from_raw_os_error(-result));
    Ok(())
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
