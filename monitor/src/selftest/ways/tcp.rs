//! Ways to connect to a port.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Protocol, RawProtocol, SendFlags, SocketFlags, SocketType, connect, sendto, socket,
    socket_with,
};
use rustix::thread::UnshareFlags;

use super::super::scene::{Door, Place};
use super::{Act, Way, connection, raw, second, timed, uring, way};
use crate::model::Action;

/// `IPPROTO_MPTCP`.
const MPTCP: u32 = 262;

/// Nobody's: meant for documents, so no node has it.
const NOBODYS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

pub(super) const WAYS: &[Way] = &[
    port("tcp.connect", |place| timed(|| plain(here(place)))),
    connection("tcp.refused", Door::Closed, |place| {
        let closed = SocketAddrV4::new(Ipv4Addr::LOCALHOST, place.ports.closed);
        timed(|| match plain(closed) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(io::Error::other("somebody listens")),
        })
    }),
    port("tcp.nonblocking", |place| without_waiting(here(place))),
    port("tcp.fast_open", |place| {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        let flags = SendFlags::from_bits_retain(libc::MSG_FASTOPEN.cast_unsigned());
        timed(|| Ok(sendto(&socket, b"\n", flags, &here(place))?))
    })
    .if_possible(),
    port("tcp.fast_open_connect", |place| {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        raw::set_fast_open_connect(&socket)?;
        timed(|| {
            connect(&socket, &here(place))?;
            Ok(rustix::io::write(&socket, b"\n")?)
        })
    })
    .if_possible(),
    port("tcp.mptcp", |place| {
        let protocol = RawProtocol::new(MPTCP).map(Protocol::from_raw);
        let socket = socket(AddressFamily::INET, SocketType::STREAM, protocol)?;
        timed(|| Ok(connect(&socket, &here(place))?))
    })
    .if_possible(),
    port("tcp.mapped", |place| {
        timed(|| TcpStream::connect((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), place.ports.open)))
    })
    .if_possible(),
    // What listens does not listen there, which does not matter.
    port("tcp.ipv6", |place| without_waiting((Ipv6Addr::LOCALHOST, place.ports.open))).if_possible(),
    port("tcp.loopback", |place| {
        without_waiting(SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 9), place.ports.open))
    })
    .if_possible(),
    port("tcp.own_address", |place| without_waiting(SocketAddrV4::new(own_address()?, place.ports.open)))
        .if_possible(),
    // Not to the loopback address: that of another namespace is no door of the node.
    port("tcp.network_namespace", |place| {
        raw::unshare(UnshareFlags::NEWNET)?;
        raw::address_loopback(NOBODYS)?;
        without_waiting(SocketAddrV4::new(NOBODYS, place.ports.open))
    })
    .if_possible(),
    port("tcp.uring", |place| uring::connect_tcp(here(place))).if_possible(),
    port("tcp.uring_fast_open", |place| uring::fast_open(here(place))).if_possible(),
    way("tcp.handed_over", Door::Datastore, Action::Receive, |place| {
        second::hand(place, plain(here(place))?)
    })
    .with(second::receive),
];

const fn port(id: &'static str, act: Act) -> Way {
    connection(id, Door::Datastore, act)
}

const fn here(place: &Place) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, place.ports.open)
}

fn plain(address: SocketAddrV4) -> io::Result<TcpStream> {
    TcpStream::connect(address)
}

/// Whether anybody answers does not matter.
fn without_waiting(address: impl Into<SocketAddr>) -> io::Result<u64> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let address = address.into();
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    timed(|| match connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::CONNREFUSED) => Ok(()),
        Err(error) => Err(error.into()),
    })
}

/// One that leads out of the node. Sends nothing.
fn own_address() -> io::Result<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((NOBODYS, 9))?;
    match socket.local_addr()?.ip() {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(_) => Err(io::Error::other("the node has no IPv4 address")),
    }
}
