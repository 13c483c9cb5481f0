//! The thread that writes.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvError, TryRecvError};

use jiff::tz::TimeZone;

use super::batch::{Batch, Flushed};
use super::format::{Format, Shape};
use super::sink::Sink;
use super::{Shared, text};
use crate::event::{Event, line, line_by};

/// Writes until the queue is closed or nobody reads. Output is passed on whenever the queue is empty, and in large pieces under
/// load.
pub(super) fn run(events: &Receiver<Event>, format: Format, mut sink: Sink, shared: &Shared) {
    let mut batch = Batch::default();
    let zone = TimeZone::system();
    loop {
        let event = match events.try_recv() {
            Ok(event) => event,
            Err(TryRecvError::Disconnected) => break,
            Err(TryRecvError::Empty) => {
                if flush(&mut batch, &mut sink, shared).is_err() {
                    return;
                }
                match events.recv() {
                    Ok(event) => event,
                    Err(RecvError) => break,
                }
            }
        };
        shared.queued.fetch_sub(1, Ordering::Relaxed);
        if let Err(error) = batch.add(|out| write(out, format, event, &zone)) {
            shared.failed.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%error, "cannot write an event");
        }
        if batch.is_full() && flush(&mut batch, &mut sink, shared).is_err() {
            return;
        }
    }
    if flush(&mut batch, &mut sink, shared).is_ok() {
        shared.failed.fetch_add(batch.len(), Ordering::Relaxed);
    }
}

/// Nobody reads any more.
struct Closed;

fn flush(batch: &mut Batch, sink: &mut Sink, shared: &Shared) -> Result<(), Closed> {
    if batch.len() == 0 {
        return Ok(());
    }
    if batch.is_whole() {
        sink.make_ready(batch.bytes());
    }
    let Flushed { written, failed, error } = batch.flush(sink);
    shared.written.fetch_add(written, Ordering::Relaxed);
    match error {
        // A user who pipes into `head` expects no complaint.
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            close(shared);
            return Err(Closed);
        }
        Some(error) => tracing::error!(%error, "cannot write events"),
        None => {}
    }
    shared.failed.fetch_add(failed, Ordering::Relaxed);
    Ok(())
}

fn write(out: &mut Vec<u8>, format: Format, mut event: Event, zone: &TimeZone) -> io::Result<()> {
    match format {
        Format::Native => out.extend_from_slice(&line(&mut event)?),
        Format::Shaped(shape) => out.extend_from_slice(&shaped(&mut event, shape)?),
        Format::Text(look) => text::write(out, &event, look, zone)?,
    }
    Ok(())
}

/// A line in another format, as short as a native one.
pub(super) fn shaped(event: &mut Event, shape: Shape) -> serde_json::Result<Vec<u8>> {
    line_by(event, |event| serde_json::to_vec(&shape.of(serde_json::to_value(event)?)))
}

fn close(shared: &Shared) {
    shared.closed.store(true, Ordering::Release);
    shared.on_close.notify_one();
}
