//! The unix sockets of a network namespace, with what they are bound to and who is at the other end.

use std::io;

use bytes::Buf;

use crate::node::diag::{attributes, dump};

/// <https://man7.org/linux/man-pages/man7/sock_diag.7.html>
const AF_UNIX: u8 = 1;
const UDIAG_SHOW_VFS: u32 = 0x2;
const UDIAG_SHOW_PEER: u32 = 0x4;
const UDIAG_SHOW_ICONS: u32 = 0x8;
const UNIX_DIAG_VFS: u16 = 1;
const UNIX_DIAG_PEER: u16 = 2;
const UNIX_DIAG_ICONS: u16 = 3;
/// <https://elixir.bootlin.com/linux/v6.12/source/include/net/tcp_states.h#L12>
const ESTABLISHED: u8 = 1;
const LISTEN: u8 = 10;

/// The file a socket is bound to, as the kernel holds it. The inode's upper half is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bound {
    pub dev: u32,
    pub ino: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub ino: u32,
    pub listens: bool,
    /// Of the end that was accepted, what its listener is bound to.
    pub bound: Option<Bound>,
    /// Number of the socket at the other end.
    pub peer: Option<u32>,
    /// Of one that listens, the sockets that connected and are not accepted yet.
    pub waiting: Vec<u32>,
}

/// Hands over the sockets that are connected or listen.
pub(super) fn sockets(mut each: impl FnMut(Socket)) -> io::Result<()> {
    let mut request = vec![AF_UNIX, 0, 0, 0];
    request.extend((1_u32 << ESTABLISHED | 1 << LISTEN).to_ne_bytes());
    request.extend(0_u32.to_ne_bytes());
    request.extend((UDIAG_SHOW_VFS | UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS).to_ne_bytes());
    request.extend([0; 8]);
    dump(&request, |answer| {
        if let Some(socket) = socket(answer) {
            each(socket);
        }
    })
}

/// `struct unix_diag_msg` and its attributes.
fn socket(mut answer: &[u8]) -> Option<Socket> {
    if answer.try_get_u8().ok()? != AF_UNIX {
        return None;
    }
    let _type = answer.try_get_u8().ok()?;
    let state = answer.try_get_u8().ok()?;
    let _pad = answer.try_get_u8().ok()?;
    let ino = answer.try_get_u32_ne().ok()?;
    let _cookie = answer.try_get_u64_ne().ok()?;
    let mut socket = Socket { ino, listens: state == LISTEN, bound: None, peer: None, waiting: Vec::new() };
    for (kind, mut value) in attributes(answer) {
        match kind {
            UNIX_DIAG_VFS => {
                let (ino, dev) = (value.try_get_u32_ne().ok()?, value.try_get_u32_ne().ok()?);
                socket.bound = Some(Bound { dev, ino });
            }
            UNIX_DIAG_PEER => socket.peer = value.try_get_u32_ne().ok(),
            UNIX_DIAG_ICONS => {
                while let Ok(waiting) = value.try_get_u32_ne() {
                    socket.waiting.push(waiting);
                }
            }
            _ => {}
        }
    }
    Some(socket)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::net::{UnixListener, UnixStream};

    use proptest::prelude::*;
    use rustix::fs::fstat;

    use super::*;

    fn number(socket: &impl AsFd) -> u32 {
        u32::try_from(fstat(socket).unwrap().st_ino).unwrap()
    }

    #[test]
    fn a_connection_is_found_by_its_other_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        let accepted = listener.accept().unwrap().0;
        let waiting = UnixStream::connect(&path).unwrap();
        let mut all = Vec::new();
        sockets(|socket| all.push(socket)).unwrap();
        let of = |number: u32| all.iter().find(|socket| socket.ino == number).unwrap();
        let listening = of(number(&listener));
        assert!(listening.listens);
        assert_eq!(listening.waiting, [number(&waiting)]);
        let bound = listening.bound.unwrap();
        assert_eq!(u64::from(bound.ino), path.metadata().unwrap().ino());
        let server = of(number(&accepted));
        assert_eq!((server.bound, server.peer, server.listens), (Some(bound), Some(number(&client)), false));
        assert_eq!(of(number(&client)).bound, None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _read = socket(&bytes);
        }
    }
}
