//! Who is at the other end of a connection that comes from this node: a socket of this kernel that was seen to connect to the door, or
//! something else. Address translation leads to a door from another address and port, and whoever writes packets himself has no socket.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use super::{Identity, diag, netns};

/// <https://man7.org/linux/man-pages/man7/sock_diag.7.html>
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const ANY_STATE: u32 = u32::MAX;
/// Any interface; and `INET_DIAG_NOCOOKIE`, twice.
const ANY_SOCKET: [u32; 3] = [0, u32::MAX, u32::MAX];

/// Asks the kernel for single sockets of the node's network namespace.
pub struct Clients(OwnedFd);

impl Clients {
    /// Tries it, because a kernel that cannot answer says the same as for a socket that is not there.
    pub fn of_node(identity: &Identity) -> io::Result<Self> {
        netns::inside(identity, || {
            let clients = Self(diag::open()?);
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
            if clients.exists(listener.local_addr()?, any)? {
                Ok(clients)
            } else {
                Err(io::Error::other("the kernel does not tell of single TCP sockets"))
            }
        })
    }

    /// Whether there is a socket with these two ends, the nearer one first. One that is closed is remembered for a while.
    pub fn exists(&self, local: SocketAddr, remote: SocketAddr) -> io::Result<bool> {
        diag::exists(&self.0, &request(local, remote))
    }
}

/// `struct inet_diag_req_v2`
fn request(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let family = if local.is_ipv4() { AF_INET } else { AF_INET6 };
    let mut request = vec![family, IPPROTO_TCP, 0, 0];
    request.extend(ANY_STATE.to_ne_bytes());
    request.extend(local.port().to_be_bytes());
    request.extend(remote.port().to_be_bytes());
    request.extend(octets(local.ip()));
    request.extend(octets(remote.ip()));
    request.extend(ANY_SOCKET.into_iter().flat_map(u32::to_ne_bytes));
    request
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&ip.octets());
            octets
        }
        IpAddr::V6(ip) => ip.octets(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, TcpStream};

    use super::*;

    /// Tests may run in another namespace than process 1.
    fn clients() -> Clients {
        Clients(diag::open().unwrap())
    }

    #[test]
    fn both_ends_are_found_and_no_others() {
        let places: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        for place in places {
            let listener = TcpListener::bind((place, 0)).unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (near, far) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
            let clients = clients();
            assert!(clients.exists(near, far).unwrap());
            assert!(clients.exists(far, near).unwrap());
            let elsewhere = SocketAddr::new(place, far.port().wrapping_add(1));
            assert!(!clients.exists(near, elsewhere).unwrap());
        }
    }

    #[test]
    fn a_client_that_closed_is_remembered() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (near, far) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
        drop(client);
        assert!(clients().exists(near, far).unwrap());
    }

    #[test]
    fn an_ipv6_socket_that_talks_ipv4_is_found() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), port)).unwrap();
        let near = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), client.local_addr().unwrap().port());
        assert!(clients().exists(near, listener.local_addr().unwrap()).unwrap());
    }
}
