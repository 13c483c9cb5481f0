//! Picks the access that is waited for out of everything that the kernel reports.

use super::scene::target;
use super::ways::Way;
use crate::access::Object;
use crate::clock;
use crate::decode::{Decoded, Record, decode};
use crate::node::Namespaces;
use crate::watch::Keeper;

/// Times of the access, in nanoseconds since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// When the kernel saw it.
    pub hooked: u64,
    /// When the daemon knew what it was.
    pub decoded: u64,
}

#[derive(Debug)]
pub(super) struct Collector {
    way: &'static Way,
    /// The child's arguments, in which the directory's random name is: no other process has them, but one that the child starts, which
    /// has more.
    arguments: Vec<Vec<u8>>,
    /// By which it is known where the kernel side reads no arguments.
    pub child: Option<u32>,
    node: Namespaces,
    pub seen: Option<Seen>,
    pub undecodable: u64,
}

impl Collector {
    pub(super) fn new(way: &'static Way, arguments: &[String], node: Namespaces) -> Self {
        let arguments = arguments.iter().map(|argument| argument.clone().into_bytes()).collect();
        Self { way, arguments, child: None, node, seen: None, undecodable: 0 }
    }

    pub(super) fn record(&mut self, record: &[u8], keeper: &Keeper) {
        match decode(record) {
            Ok(Record::Access(decoded)) => self.decoded(&decoded, keeper),
            Ok(Record::Outcome(_) | Record::Doer(_)) => {}
            Err(error) => {
                tracing::error!(%error, "cannot decode a record");
                self.undecodable += 1;
            }
        }
    }

    pub(super) fn decoded(&mut self, decoded: &Decoded, keeper: &Keeper) {
        if self.seen.is_none() && self.is_it(decoded, keeper) {
            self.seen = Some(Seen { hooked: decoded.access.boottime, decoded: clock::since_boot() });
        }
    }

    fn is_it(&self, decoded: &Decoded, keeper: &Keeper) -> bool {
        let access = &decoded.access;
        let reached = match &access.object {
            // The kernel side knows the name only.
            Object::UnixSocket(socket) if !socket.path_named.is_empty() => {
                keeper.named(socket, &access.actor, self.node)
            }
            _ => Some(access.target),
        };
        let is_action = access.action == self.way.action || Some(access.action) == self.way.or;
        is_action
            && reached == Some(target(self.way))
            && decoded.ancestor == self.way.ancestor
            && self.is_by_the_child(decoded)
    }

    fn is_by_the_child(&self, decoded: &Decoded) -> bool {
        let actor = &decoded.access.actor;
        match &actor.args {
            Some(args) => args.starts_with(&self.arguments),
            None if decoded.unnamed => {
                let line = actor.ancestors.iter().map(|above| above.pid);
                std::iter::once(actor.pid).chain(line).any(|pid| Some(pid) == self.child)
            }
            None => false,
        }
    }
}
