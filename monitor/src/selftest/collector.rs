//! Picks the access that is waited for out of everything that the kernel reports.

use super::ways::Way;
use crate::clock;
use crate::decode::{Decoded, Record, decode};

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
    /// The child's arguments, in which the directory's random name is: no other process has the same.
    arguments: Vec<Vec<u8>>,
    pub seen: Option<Seen>,
    pub undecodable: u64,
}

impl Collector {
    pub(super) fn new(way: &'static Way, arguments: &[String]) -> Self {
        let arguments = arguments.iter().map(|argument| argument.clone().into_bytes()).collect();
        Self { way, arguments, seen: None, undecodable: 0 }
    }

    pub(super) fn record(&mut self, record: &[u8]) {
        match decode(record) {
            Ok(Record::Access(decoded)) => self.decoded(&decoded),
            Ok(Record::Outcome(_) | Record::Doer(_)) => {}
            Err(error) => {
                tracing::error!(%error, "cannot decode a record");
                self.undecodable += 1;
            }
        }
    }

    pub(super) fn decoded(&mut self, decoded: &Decoded) {
        if self.seen.is_none() && self.is_it(decoded) {
            self.seen = Some(Seen { hooked: decoded.access.boottime, decoded: clock::since_boot() });
        }
    }

    fn is_it(&self, decoded: &Decoded) -> bool {
        let access = &decoded.access;
        access.action == self.way.action
            && access.target == self.way.door.target()
            && !decoded.ancestor
            && access.actor.args.as_ref() == Some(&self.arguments)
    }
}
