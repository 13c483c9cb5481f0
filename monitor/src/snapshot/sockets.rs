//! The connections to doors, in all network namespaces, by the number of the socket that a process has.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::unix::Bound;
use super::wanted::Wanted;
use super::{Use, Uses, inet, namespaces, unix};
use crate::access::{InetObject, Object, ObjectKey, UnixObject};
use crate::model::Action;

/// Connections to doors of one node; more are counted.
const SOCKETS_MAX: usize = 16 << 10;

#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// Ends that connected.
    pub clients: HashMap<u64, Use>,
    /// Sockets that listen on a watched one.
    pub listeners: HashMap<u64, ObjectKey>,
    /// Connections from elsewhere.
    pub inbound: Uses,
    pub left_out: u64,
    pub gaps: Vec<String>,
    /// Connections whose other end may be on this node, too.
    flows: HashSet<Flow>,
    accepted: Vec<(Flow, Use)>,
}

/// From whom to whom.
type Flow = ((IpAddr, u16), (IpAddr, u16));

impl Sockets {
    pub(super) fn collect(wanted: &Wanted, pids: &[u32]) -> Self {
        let mut sockets = Self::default();
        if wanted.sockets.is_empty() && wanted.ports.is_empty() {
            return sockets;
        }
        let gaps = namespaces::each(pids, &wanted.namespaces, |net_ns| sockets.look(wanted, net_ns));
        sockets.gaps.extend(gaps);
        // Seen where it began already.
        for (flow, used) in std::mem::take(&mut sockets.accepted) {
            if !sockets.flows.contains(&flow) {
                sockets.inbound.add(used);
            }
        }
        sockets
    }

    fn look(&mut self, wanted: &Wanted, net_ns: u32) {
        let unix = if wanted.sockets.is_empty() {
            Ok(())
        } else {
            unix::sockets(|socket| self.unix(wanted, socket))
        };
        let inet = if wanted.ports.is_empty() {
            Ok(())
        } else {
            inet::sockets(|socket| self.inet(wanted, socket, net_ns))
        };
        for (what, result) in [("unix", unix), ("TCP", inet)] {
            if let Err(error) = result {
                self.gaps.push(format!(
                    "{what} connections from before the start in network namespace {net_ns}: {error}"
                ));
            }
        }
    }

    fn unix(&mut self, wanted: &Wanted, socket: unix::Socket) {
        let Some(bound) = socket.bound else { return };
        let Some((target, key)) = wanted.sockets.get(&bound).copied() else { return };
        if socket.listens {
            self.listeners.insert(socket.ino.into(), key);
        }
        // The other end of one that was accepted, or all of those that are not yet.
        let clients = socket.peer.into_iter().chain(socket.waiting).filter(|client| *client != 0);
        for client in clients {
            let (path_seen, path_named) = (Vec::new(), Vec::new());
            let object = Object::UnixSocket(UnixObject { key, path_seen, peer_pid: None, path_named });
            self.client(client, Use { target, below: 0, action: Action::Connect, object });
        }
    }

    fn inet(&mut self, wanted: &Wanted, socket: inet::Socket, net_ns: u32) {
        let inet::Socket { ino, local, remote } = socket;
        let object = |src: (IpAddr, u16), dst: (IpAddr, u16), inbound| {
            let ((src_ip, src_port), (dst_ip, dst_port)) = (src, dst);
            Object::InetSocket(InetObject { src_ip, src_port, dst_ip, dst_port, inbound, net_ns })
        };
        // Whoever connects from a watched port to a watched port is no server: nobody is to hide behind the number.
        if let Some(port) = wanted.ports.get(&remote.1) {
            self.flows.insert((local, remote));
            if ino != 0 {
                let object = object(local, remote, false);
                self.client(ino, Use { target: port.target, below: 0, action: Action::Connect, object });
            }
        } else if let Some(port) = wanted.ports.get(&local.1).filter(|port| port.inbound) {
            if self.accepted.len() >= SOCKETS_MAX {
                self.left_out += 1;
                return;
            }
            let object = object(remote, local, true);
            let used = Use { target: port.target, below: 0, action: Action::Accept, object };
            self.accepted.push(((remote, local), used));
        }
    }

    fn client(&mut self, ino: u32, used: Use) {
        if self.clients.len() >= SOCKETS_MAX {
            self.left_out += 1;
            return;
        }
        self.clients.insert(ino.into(), used);
    }
}

/// What unix sockets are known by.
pub(super) fn bound(key: ObjectKey) -> Bound {
    Bound { dev: key.dev, ino: lower_half(key.ino) }
}

#[expect(clippy::cast_possible_truncation, reason = "the kernel's answer has no more")]
fn lower_half(ino: u64) -> u32 {
    ino as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::TargetId;
    use crate::snapshot::wanted::Port;

    fn wanted() -> Wanted {
        let port = |target, inbound| Port { target: TargetId(target), inbound };
        Wanted { ports: HashMap::from([(2379, port(0, true)), (10250, port(1, false))]), ..Wanted::default() }
    }

    fn end(ino: u32, local: (&str, u16), remote: (&str, u16)) -> inet::Socket {
        let place = |(ip, port): (&str, u16)| (ip.parse().unwrap(), port);
        inet::Socket { ino, local: place(local), remote: place(remote) }
    }

    #[test]
    fn only_the_end_that_connected_holds_a_port() {
        let (wanted, mut sockets) = (wanted(), Sockets::default());
        let (client, server) = (("10.0.0.1", 40_000), ("10.0.0.7", 10250));
        sockets.inet(&wanted, end(5, client, server), 1);
        sockets.inet(&wanted, end(6, server, client), 1);
        sockets.inet(&wanted, end(7, client, ("10.0.0.7", 80)), 1);
        // Nobody has it any more.
        sockets.inet(&wanted, end(0, client, server), 1);
        assert_eq!(sockets.clients.keys().collect::<Vec<_>>(), [&5]);
        assert!(sockets.accepted.is_empty());
    }

    #[test]
    fn a_connection_from_elsewhere_is_one_whose_beginning_is_not_here() {
        let (wanted, mut sockets) = (wanted(), Sockets::default());
        let (pod, elsewhere, server) = (("10.1.0.1", 40_000), ("10.9.0.1", 40_000), ("10.0.0.7", 2379));
        sockets.inet(&wanted, end(5, server, pod), 1);
        sockets.inet(&wanted, end(6, pod, server), 2);
        sockets.inet(&wanted, end(7, server, elsewhere), 1);
        let unseen = |(flow, _): &&(Flow, Use)| !sockets.flows.contains(flow);
        let inbound: Vec<_> = sockets.accepted.iter().filter(unseen).collect();
        let [(_, Use { object: Object::InetSocket(inet), action: Action::Accept, .. })] = inbound[..] else {
            panic!("{inbound:?}")
        };
        assert_eq!((inet.src_ip.to_string(), inet.dst_port), ("10.9.0.1".to_owned(), 2379));
    }
}
