//! Writing events. The reader of the ring buffer never waits for whoever reads our output: events go through a bounded queue
//! to a thread of their own, and what does not fit is counted.

mod batch;
mod ecs;
mod falco;
mod file;
mod format;
mod ocsf;
mod parts;
mod sink;
mod table;
pub(crate) mod text;
mod words;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, thread};

use uuid::{NoContext, Timestamp, Uuid};

pub use self::file::{Rotation, SinkError};
pub use self::format::{Alerts, Format, Look, Shape};
pub use self::sink::Sink;
use crate::event::{Event, Kind};

/// Events that may wait to be written: 4,096 of 2 to 3 KiB keep the daemon below 40 MiB.
const QUEUE: usize = 4096;

/// Room that accesses leave for what the daemon says about itself: a flood must not push out the event that tells of the loss.
const RESERVE: usize = 64;

/// How long a stopping daemon waits for its output to be taken.
const DRAIN: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
struct Shared {
    queued: AtomicUsize,
    written: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    /// Whoever read the output is gone.
    closed: AtomicBool,
    /// Told when `closed` is set.
    on_close: tokio::sync::Notify,
}

/// What became of the events so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EmitCounters {
    /// Waiting to be written.
    pub queued: u64,
    pub written: u64,
    /// The queue was full.
    pub dropped: u64,
    /// The sink refused them.
    pub failed: u64,
}

pub struct Emitter {
    queue: Option<SyncSender<Event>>,
    /// Most accesses that may wait.
    room: usize,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    seq: u64,
}

impl Emitter {
    pub fn start(format: Format, sink: Sink) -> io::Result<Self> {
        Self::with_queue(format, sink, QUEUE)
    }

    fn with_queue(format: Format, sink: Sink, length: usize) -> io::Result<Self> {
        let (queue, events) = sync_channel(length + RESERVE);
        let shared = Arc::new(Shared::default());
        let thread = thread::Builder::new().name("emit".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || writer::run(&events, format, sink, &shared)
        })?;
        Ok(Self { queue: Some(queue), room: length, shared, thread: Some(thread), seq: 0 })
    }

    /// Hands an event over, at once. It gets its number even when it is dropped, so that the gap shows. Returns its id.
    pub fn emit(&mut self, mut event: Event) -> Uuid {
        self.seq += 1;
        event.seq = self.seq;
        let id = Uuid::new_v7(Timestamp::now(NoContext));
        event.id = id;
        let Some(queue) = &self.queue else { return id };
        // Counted before the writer can take it out again.
        let waiting = self.shared.queued.fetch_add(1, Ordering::Relaxed);
        let sent = if waiting >= self.room && is_access(event.kind) {
            Err(TrySendError::Full(event))
        } else {
            queue.try_send(event)
        };
        match sent {
            Ok(()) => return id,
            Err(TrySendError::Full(_)) => {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            }
            // The writer ends only when its sink is closed, which `closed` tells.
            Err(TrySendError::Disconnected(_)) => {}
        }
        self.shared.queued.fetch_sub(1, Ordering::Relaxed);
        id
    }

    pub fn counters(&self) -> EmitCounters {
        let Shared { queued, written, dropped, failed, .. } = &*self.shared;
        EmitCounters {
            queued: queued.load(Ordering::Relaxed) as u64,
            written: written.load(Ordering::Relaxed),
            dropped: dropped.load(Ordering::Relaxed),
            failed: failed.load(Ordering::Relaxed),
        }
    }

    /// Waits until nobody reads the output any more.
    pub fn closed(&self) -> impl Future<Output = ()> + use<> {
        let shared = Arc::clone(&self.shared);
        async move {
            let notified = shared.on_close.notified();
            if !shared.closed.load(Ordering::Acquire) {
                notified.await;
            }
        }
    }

    /// Writes what is queued and ends. Gives up on an output that takes nothing.
    pub fn finish(mut self) -> EmitCounters {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let deadline = std::time::Instant::now() + DRAIN;
            while !thread.is_finished() && std::time::Instant::now() < deadline {
                thread::sleep(Duration::from_millis(1));
            }
            if thread.is_finished() && thread.join().is_err() {
                tracing::error!("the writer ended in a panic");
            }
        }
        self.counters()
    }
}

/// One event as a line, native or in a format of others.
pub fn line(event: &mut Event, shape: Option<Shape>) -> serde_json::Result<Vec<u8>> {
    match shape {
        Some(shape) => writer::shaped(event, shape),
        None => crate::event::line(event),
    }
}

/// The event as a line in each format of others, for fuzzing.
pub(crate) fn shaped_lines(event: &mut Event) -> serde_json::Result<Vec<Vec<u8>>> {
    let shapes = [Shape::Ecs, Shape::Ocsf(Alerts::Activity), Shape::Ocsf(Alerts::Finding), Shape::Falco];
    shapes.into_iter().map(|shape| writer::shaped(&mut event.clone(), shape)).collect()
}

fn is_access(kind: Kind) -> bool {
    match kind {
        Kind::Alert | Kind::Allowed | Kind::Snapshot | Kind::Posture => true,
        Kind::Health | Kind::Lifecycle => false,
    }
}

#[cfg(test)]
mod shapes;
#[cfg(test)]
mod tests;
