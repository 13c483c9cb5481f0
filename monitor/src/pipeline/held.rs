//! Records that wait for a moment, because the next one says more.
//!
//! A file made by an open is reported by that open; one that is made without (mknod, another file system on top) by the making alone,
//! which the kernel says first. A connection begins without a source port and without an outcome.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::access::{Access, Object, last_name};
use crate::decode::{ConnectOutcome, Decoded};
use crate::model::Action;

/// The outcome of a connection within the node follows within microseconds, unless its process is not let run.
const CONNECTED: Duration = Duration::from_millis(50);

/// So does the open. Hardly anything makes a file in this way without it, and a making that is reported beside its open is one
/// access told twice.
const OPENED: Duration = Duration::from_millis(500);

/// More are not held back: they are reported as they are.
const MOST: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Held {
    queue: VecDeque<(Instant, Box<Decoded>)>,
}

impl Held {
    /// Holds a record back, or returns what is to be reported now: the record itself, or the oldest when there are too many.
    pub(super) fn hold(&mut self, decoded: Box<Decoded>) -> Option<Box<Decoded>> {
        if !decoded.maybe_opened && decoded.connecting.is_none() {
            return Some(decoded);
        }
        let patience = if decoded.maybe_opened { OPENED } else { CONNECTED };
        self.queue.push_back((Instant::now() + patience, decoded));
        if self.queue.len() > MOST { self.queue.pop_front().map(|(_, decoded)| decoded) } else { None }
    }

    /// The open came: the making was part of it.
    pub(super) fn opened(&mut self, open: &Access) {
        if open.action == Action::Create
            && let Some(index) = self.queue.iter().position(|(_, made)| is_same(&made.access, open))
        {
            self.queue.remove(index);
        }
    }

    /// The connection stands or failed; returns it with what is known now.
    pub(super) fn connected(&mut self, outcome: &ConnectOutcome) -> Option<Box<Decoded>> {
        let ConnectOutcome { connection, outcome, src_ip, src_port } = *outcome;
        let index = self.queue.iter().position(|(_, held)| held.connecting == Some(connection))?;
        let (_, mut decoded) = self.queue.remove(index)?;
        decoded.access.outcome = outcome;
        if let Object::InetSocket(inet) = &mut decoded.access.object
            && src_port != 0
        {
            (inet.src_ip, inet.src_port) = (src_ip, src_port);
        }
        Some(decoded)
    }

    /// Waits until one has waited long enough. Safe to cancel.
    pub(super) async fn due(&self) {
        match self.queue.iter().map(|(until, _)| *until).min() {
            Some(until) => sleep_until(until).await,
            None => std::future::pending().await,
        }
    }

    /// One that waited long enough, or any.
    pub(super) fn take(&mut self, any: bool) -> Option<Box<Decoded>> {
        let now = Instant::now();
        let index = self.queue.iter().position(|(until, _)| any || *until <= now)?;
        self.queue.remove(index).map(|(_, decoded)| decoded)
    }
}

fn is_same(made: &Access, open: &Access) -> bool {
    let (Object::File(made_file), Object::File(open_file)) = (&made.object, &open.object) else {
        return false;
    };
    let opened = if open_file.path_seen.is_empty() { &open_file.path_inside } else { &open_file.path_seen };
    made.actor.tid == open.actor.tid
        && made.actor.start == open.actor.start
        && made_file.key.dev == open_file.key.dev
        && last_name(&made_file.path_inside) == last_name(opened)
}
