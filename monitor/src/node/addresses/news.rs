//! Whether the node's addresses changed, asked without waiting: rtnetlink(7) of its network namespace.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

use crate::node::{Identity, netns};

/// `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV4_ROUTE`, `RTMGRP_IPV6_IFADDR` and `RTMGRP_IPV6_ROUTE`: a route can make addresses the node's that no
/// device has. <https://man7.org/linux/man-pages/man7/rtnetlink.7.html>
const GROUPS: u32 = 0x10 | 0x40 | 0x100 | 0x400;

/// What does not fit is told as an overflow, which is news like any other.
const BUFFER: usize = 4096;

pub(super) struct News(OwnedFd);

impl News {
    pub(super) fn of_node(identity: &Identity) -> io::Result<Self> {
        netns::inside(identity, Self::here)
    }

    fn here() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // Protocol 0 is `NETLINK_ROUTE`.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        set_socket_recv_buffer_size(&socket, BUFFER)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        Ok(Self(socket))
    }

    /// Since the last time it was asked. A socket that fails cannot say there is none.
    pub(super) fn any(&self) -> bool {
        let mut any = false;
        let mut datagram = [0; 1];
        loop {
            match recv(&self.0, &mut datagram, RecvFlags::DONTWAIT) {
                Ok(_) | Err(Errno::NOBUFS) => any = true,
                Err(Errno::AGAIN) => return any,
                Err(Errno::INTR) => {}
                Err(_) => return true,
            }
        }
    }
}
