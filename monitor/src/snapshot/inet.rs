//! The TCP sockets of a network namespace that are connected, or about to be.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Buf;

use crate::node::diag::dump;

/// <https://man7.org/linux/man-pages/man7/sock_diag.7.html>
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
/// `struct inet_diag_sockid`, of which none is wanted in particular.
const SOCKET_ID: usize = 48;
/// <https://elixir.bootlin.com/linux/v6.12/source/include/net/tcp_states.h#L12>
const ESTABLISHED: u32 = 1;
const SYN_SENT: u32 = 2;
/// One end is closed, the other still talks.
const FIN_WAIT1: u32 = 4;
const FIN_WAIT2: u32 = 5;
const CLOSE_WAIT: u32 = 8;
const STATES: [u32; 5] = [ESTABLISHED, SYN_SENT, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    /// Number of the socket; zero when no process has it.
    pub ino: u32,
    pub local: (IpAddr, u16),
    pub remote: (IpAddr, u16),
}

/// Hands over each of them. IPv4 in IPv6 is IPv4.
pub(super) fn sockets(mut each: impl FnMut(Socket)) -> io::Result<()> {
    for family in [AF_INET, AF_INET6] {
        let mut request = vec![family, IPPROTO_TCP, 0, 0];
        let states = STATES.iter().fold(0_u32, |states, state| states | 1 << state);
        request.extend(states.to_ne_bytes());
        request.extend([0; SOCKET_ID]);
        dump(&request, |answer| {
            if let Some(socket) = socket(answer) {
                each(socket);
            }
        })?;
    }
    Ok(())
}

/// `struct inet_diag_msg`
fn socket(mut answer: &[u8]) -> Option<Socket> {
    let family = answer.try_get_u8().ok()?;
    // State, timer, retransmits.
    answer.try_copy_to_slice(&mut [0; 3]).ok()?;
    let (local_port, remote_port) = (answer.try_get_u16().ok()?, answer.try_get_u16().ok()?);
    let mut ip = || {
        let mut octets = [0; 16];
        answer.try_copy_to_slice(&mut octets).ok()?;
        let [a, b, c, d, ..] = octets;
        match family {
            AF_INET => Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d))),
            AF_INET6 => Some(IpAddr::V6(Ipv6Addr::from(octets)).to_canonical()),
            _ => None,
        }
    };
    let (local_ip, remote_ip) = (ip()?, ip()?);
    // Interface and cookie; expiry, both queues and user.
    answer.try_copy_to_slice(&mut [0; 4 + 8 + 16]).ok()?;
    let ino = answer.try_get_u32_ne().ok()?;
    Some(Socket { ino, local: (local_ip, local_port), remote: (remote_ip, remote_port) })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use proptest::prelude::*;
    use rustix::fs::fstat;

    use super::*;

    #[test]
    fn both_ends_of_a_connection_are_found() {
        for (listens, to) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1"), ("[::]:0", "127.0.0.1")] {
            let listener = TcpListener::bind(listens).unwrap();
            let port = listener.local_addr().unwrap().port();
            let client = TcpStream::connect((to, port)).unwrap();
            let server = listener.accept().unwrap().0;
            let mut all = Vec::new();
            sockets(|socket| all.push(socket)).unwrap();
            let ip = to.parse().unwrap();
            let (near, far) = ((ip, client.local_addr().unwrap().port()), (ip, port));
            let of = |number: u64| all.iter().find(|socket| u64::from(socket.ino) == number).unwrap();
            let (outbound, inbound) =
                (of(fstat(&client).unwrap().st_ino), of(fstat(&server).unwrap().st_ino));
            assert_eq!((outbound.local, outbound.remote), (near, far), "{listens}");
            assert_eq!((inbound.local, inbound.remote), (far, near), "{listens}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _read = socket(&bytes);
        }
    }
}
