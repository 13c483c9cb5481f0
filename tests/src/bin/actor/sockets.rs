//! Ways to connect.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::{fs, io};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Protocol, RawProtocol, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect,
    sendto, socket, socket_with, sockopt,
};

pub fn unix(how: &str, path: &str) -> Result<()> {
    let flags = if how == "nonblocking" { SocketFlags::NONBLOCK } else { SocketFlags::empty() };
    let kind = if how == "seqpacket" { SocketType::SEQPACKET } else { SocketType::STREAM };
    let socket = socket_with(AddressFamily::UNIX, kind, flags, None)?;
    match how {
        "nonblocking" | "seqpacket" => Ok(connect(&socket, &SocketAddrUnix::new(Path::new(path))?)?),
        "anew" => {
            // There is none the first time.
            let _absent = fs::remove_file(path);
            let _listener = UnixListener::bind(path)?;
            Ok(connect(&socket, &SocketAddrUnix::new(Path::new(path))?)?)
        }
        "abstract" => {
            // Nobody listens there: what counts is that it is another name.
            let _refused = connect(&socket, &SocketAddrUnix::new_abstract_name(path.as_bytes())?);
            Ok(())
        }
        "failing" => {
            ensure!(connect(&socket, &SocketAddrUnix::new(Path::new(path))?).is_err(), "it did not fail");
            Ok(())
        }
        "proc-fd" => {
            let named = openat(CWD, path, OFlags::PATH, Mode::empty())?;
            let path = format!("/proc/self/fd/{}", named.as_raw_fd());
            Ok(connect(&socket, &SocketAddrUnix::new(Path::new(&path))?)?)
        }
        other => bail!("what is {other}?"),
    }
}

/// `IPPROTO_MPTCP`.
const MPTCP: u32 = 262;

pub fn tcp(how: &str, address: &str) -> Result<()> {
    let address: SocketAddr = address.parse()?;
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let tcp = || socket(family, SocketType::STREAM, None);
    match how {
        "plain" => Ok(connect(tcp()?, &address)?),
        "nonblocking" => {
            let socket = socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK, None)?;
            match connect(&socket, &address) {
                Ok(()) | Err(Errno::INPROGRESS) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
        "fast-open" => {
            let flags = SendFlags::from_bits_retain(u32::try_from(libc::MSG_FASTOPEN)?);
            sendto(tcp()?, b"x", flags, &address).map(drop).context("unsupported: fast open")
        }
        "fast-open-connect" => {
            let socket: OwnedFd = tcp()?;
            let on: libc::c_int = 1;
            let length = libc::socklen_t::try_from(size_of_val(&on))?;
            // SAFETY: the option's value is an int that outlives the call.
            let result = unsafe {
                libc::setsockopt(
                    socket.as_raw_fd(),
                    libc::IPPROTO_TCP,
                    libc::TCP_FASTOPEN_CONNECT,
                    (&raw const on).cast(),
                    length,
                )
            };
            ensure!(result == 0, "unsupported: {}", io::Error::last_os_error());
            connect(&socket, &address)?;
            rustix::io::write(&socket, b"x").map(drop).context("write")
        }
        "mptcp" => {
            let protocol = RawProtocol::new(MPTCP).map(Protocol::from_raw);
            let socket = socket(family, SocketType::STREAM, protocol).context("unsupported: MPTCP")?;
            let _default = sockopt::socket_type(&socket)?;
            Ok(connect(&socket, &address)?)
        }
        other => bail!("what is {other}?"),
    }
}
