//! Where a connection to the node comes from.

use std::io;
use std::net::SocketAddr;

use super::doors::is_from_here;
use super::handler::Handler;
use crate::access::InetObject;

pub(super) enum Origin {
    Elsewhere,
    /// A process of this node, which was reported when it connected.
    Reported,
    /// This node, but nobody on it that was seen; with an error where that could not be asked for.
    Unseen(Option<io::Error>),
}

impl Handler {
    /// The kernel side tells only of connections that no socket of this node was seen to begin, as far as it remembers.
    pub(super) fn origin(&self, inet: &InetObject) -> Origin {
        if !is_from_here(inet, self.addresses.known()) {
            return Origin::Elsewhere;
        }
        let Some(clients) = self.clients.as_ref().filter(|_| inet.net_ns == self.context.namespaces.net)
        else {
            return Origin::Reported;
        };
        let client = SocketAddr::new(inet.src_ip, inet.src_port);
        match clients.exists(client, SocketAddr::new(inet.dst_ip, inet.dst_port)) {
            Ok(true) => Origin::Reported,
            Ok(false) => Origin::Unseen(None),
            Err(error) => Origin::Unseen(Some(error)),
        }
    }
}
