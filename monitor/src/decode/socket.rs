//! Connections.

use std::net::{IpAddr, Ipv6Addr};

use bytes::Buf;

use super::ConnectOutcome;
use crate::access::{InetObject, ObjectKey, Outcome, UnixObject};

/// The socket, and why the connect failed.
pub(super) fn unix(mut buf: &[u8], path_seen: Vec<u8>, path_named: Vec<u8>) -> (UnixObject, Option<i32>) {
    let ino = buf.get_u64_ne();
    let dev = buf.get_u32_ne();
    let peer = buf.get_u32_ne();
    let errno = buf.get_i32_ne();
    let generation = buf.get_u32_ne();
    let peer_pid = (peer != 0).then_some(peer);
    let socket = UnixObject { key: ObjectKey { ino, dev, generation }, path_seen, peer_pid, path_named };
    (socket, (errno != 0).then_some(errno))
}

pub(super) struct Connection {
    pub object: InetObject,
    pub number: u64,
    errno: i32,
}

/// The kernel tells its own end and the peer's; here it is from whoever began to the other.
pub(super) fn inet(mut buf: &[u8]) -> Connection {
    let mut ip = || {
        let mut bytes = [0; 16];
        buf.copy_to_slice(&mut bytes);
        IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
    };
    let (own_ip, peer_ip) = (ip(), ip());
    let own_port = buf.get_u16_ne();
    let peer_port = buf.get_u16_ne();
    let inbound = buf.get_u32_ne() != 0;
    let net_ns = buf.get_u32_ne();
    let errno = buf.get_i32_ne();
    let number = buf.get_u64_ne();
    let ((src_ip, src_port), (dst_ip, dst_port)) = if inbound {
        ((peer_ip, peer_port), (own_ip, own_port))
    } else {
        ((own_ip, own_port), (peer_ip, peer_port))
    };
    let object = InetObject { src_ip, src_port, dst_ip, dst_port, inbound, net_ns };
    Connection { object, number, errno }
}

impl Connection {
    pub(super) fn outcome(self) -> ConnectOutcome {
        let InetObject { src_ip, src_port, .. } = self.object;
        let outcome = if self.errno == 0 { Outcome::Success } else { Outcome::Failure(self.errno) };
        ConnectOutcome { connection: self.number, outcome, src_ip, src_port }
    }
}
