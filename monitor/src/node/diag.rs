//! Asking the kernel for its lists of sockets: sock_diag(7) over netlink. The one crate for it keeps what a unix socket is bound to
//! to itself, and that is what is needed here.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use bytes::Buf;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

/// <https://man7.org/linux/man-pages/man7/sock_diag.7.html>
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// <https://man7.org/linux/man-pages/man7/netlink.7.html>
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const HEADER: usize = 16;

/// The kernel answers with at most 32 KiB at a time.
const ANSWER_MAX: usize = 64 << 10;

/// The kernel answers at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends a request for all sockets that fit, in the thread's network namespace, and hands over each answer.
pub(crate) fn dump(request: &[u8], mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let socket = open()?;
    send(&socket, &message(request, NLM_F_DUMP), SendFlags::empty())?;
    let mut buffer = vec![0; ANSWER_MAX];
    while !read(receive(&socket, &mut buffer)?, &mut each)? {}
    Ok(())
}

/// For questions about the network namespace the thread is in now.
pub(crate) fn open() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(netlink::SOCK_DIAG))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    Ok(socket)
}

/// Whether there is the one socket that the request names.
pub(crate) fn exists(socket: &OwnedFd, request: &[u8]) -> io::Result<bool> {
    send(socket, &message(request, 0), SendFlags::empty())?;
    let mut buffer = vec![0; ANSWER_MAX];
    let mut found = false;
    match read(receive(socket, &mut buffer)?, &mut |_| found = true) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
        Ok(_) => Ok(found),
    }
}

fn receive<'a>(socket: &OwnedFd, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let (length, _) = rustix::io::retry_on_intr(|| recv(socket, &mut *buffer, RecvFlags::empty()))?;
    Ok(buffer.get(..length).unwrap_or_default())
}

fn message(request: &[u8], flags: u16) -> Vec<u8> {
    let length = u32::try_from(HEADER + request.len()).unwrap_or(u32::MAX);
    let mut message = Vec::with_capacity(HEADER + request.len());
    message.extend(length.to_ne_bytes());
    message.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    message.extend((NLM_F_REQUEST | flags).to_ne_bytes());
    // Neither a sequence number nor an address: there is one request, and its answers come to this socket only.
    message.extend([0; 8]);
    message.extend(request);
    message
}

/// Hands over the answers of one datagram; says whether it was the last.
fn read(mut datagram: &[u8], each: &mut impl FnMut(&[u8])) -> io::Result<bool> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer is cut");
    if datagram.is_empty() {
        return Err(broken());
    }
    while datagram.len() >= HEADER {
        let mut header = datagram;
        let length = usize::try_from(header.get_u32_ne()).map_err(|_| broken())?;
        let kind = header.get_u16_ne();
        let mut payload = datagram.get(HEADER..length).ok_or_else(broken)?;
        match kind {
            NLMSG_DONE => return status(&mut payload).map(|()| true),
            NLMSG_ERROR => return status(&mut payload).map(|()| true),
            SOCK_DIAG_BY_FAMILY => each(payload),
            _ => {}
        }
        datagram = datagram.get(aligned(length)..).unwrap_or_default();
    }
    Ok(false)
}

/// Zero, or a negative error number.
fn status(payload: &mut &[u8]) -> io::Result<()> {
    match payload.try_get_i32_ne() {
        Ok(error) if error < 0 => Err(io::Error::from_raw_os_error(error.saturating_neg())),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The attributes behind the fixed part of an answer: number and value.
pub(crate) fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    const ATTRIBUTE: usize = 4;
    std::iter::from_fn(move || {
        let mut header = rest;
        let length = usize::from(header.try_get_u16_ne().ok()?);
        let kind = header.try_get_u16_ne().ok()?;
        let value = rest.get(ATTRIBUTE..length)?;
        rest = rest.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

const fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut part = message(payload, 0);
        part[4..6].copy_from_slice(&kind.to_ne_bytes());
        part.resize(aligned(part.len()), 0);
        part
    }

    fn answers(datagram: &[u8]) -> io::Result<(bool, Vec<Vec<u8>>)> {
        let mut answers = Vec::new();
        let last = read(datagram, &mut |answer: &[u8]| answers.push(answer.to_vec()))?;
        Ok((last, answers))
    }

    #[test]
    fn a_datagram_holds_many_answers() {
        let mut datagram = part(SOCK_DIAG_BY_FAMILY, b"one");
        datagram.extend(part(SOCK_DIAG_BY_FAMILY, b"three"));
        let both = vec![b"one".to_vec(), b"three".to_vec()];
        assert_eq!(answers(&datagram).unwrap(), (false, both.clone()));
        datagram.extend(part(NLMSG_DONE, &0_i32.to_ne_bytes()));
        assert_eq!(answers(&datagram).unwrap(), (true, both));
    }

    #[test]
    fn the_kernels_refusal_is_an_error() {
        for kind in [NLMSG_ERROR, NLMSG_DONE] {
            let error = answers(&part(kind, &(-2_i32).to_ne_bytes())).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(2));
        }
        assert_eq!(answers(b"").unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn attributes_are_taken_apart() {
        let mut bytes = Vec::new();
        for (kind, value) in [(1_u16, &b"abcde"[..]), (2, b"")] {
            bytes.extend(u16::try_from(4 + value.len()).unwrap().to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(value);
            bytes.resize(aligned(bytes.len()), 0);
        }
        assert_eq!(attributes(&bytes).collect::<Vec<_>>(), [(1, &b"abcde"[..]), (2, b"")]);
        assert_eq!(attributes(&bytes[..8]).count(), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _read = answers(&bytes);
            let _read = attributes(&bytes).count();
        }

        #[test]
        fn any_length_is_read(length in any::<u32>(), kind in 0..30_u16, rest in prop::collection::vec(any::<u8>(), 10..80)) {
            let mut bytes = length.to_ne_bytes().to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(rest);
            let _read = answers(&bytes);
        }
    }
}
