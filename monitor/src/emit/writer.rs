//! The thread that writes.

use std::io::{self, BufWriter, Write};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvError, TryRecvError};

use super::format::Format;
use super::sink::Sink;
use super::{Shared, text};
use crate::event::{Event, line};

/// Writes until the queue is closed or nobody reads. Output is passed on whenever the queue is empty, and in large pieces under
/// load.
pub(super) fn run(events: &Receiver<Event>, format: Format, sink: Sink, shared: &Shared) {
    let mut out = BufWriter::with_capacity(64 << 10, sink);
    let mut buffered = 0;
    loop {
        let event = match events.try_recv() {
            Ok(event) => event,
            Err(TryRecvError::Disconnected) => break,
            Err(TryRecvError::Empty) => {
                if let Err(error) = out.flush() {
                    if gone(&error) {
                        return close(shared);
                    }
                    // A BufWriter keeps what it could not write, so another flush would write it twice or never.
                    shared.failed.fetch_add(buffered, Ordering::Relaxed);
                    tracing::error!(%error, "cannot write events");
                    out = restart(out);
                } else {
                    shared.written.fetch_add(buffered, Ordering::Relaxed);
                }
                buffered = 0;
                match events.recv() {
                    Ok(event) => event,
                    Err(RecvError) => break,
                }
            }
        };
        match write(&mut out, format, event) {
            Ok(()) => buffered += 1,
            Err(error) if gone(&error) => return close(shared),
            Err(error) => {
                shared.failed.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, "cannot write an event");
            }
        }
    }
    match out.flush() {
        Ok(()) => shared.written.fetch_add(buffered, Ordering::Relaxed),
        Err(_) => shared.failed.fetch_add(buffered, Ordering::Relaxed),
    };
}

fn write(out: &mut impl Write, format: Format, mut event: Event) -> io::Result<()> {
    match format {
        Format::Native => out.write_all(&line(&mut event)?),
        Format::Text { colour } => text::write(out, &event, colour),
    }
}

/// The same sink with an empty buffer.
fn restart(out: BufWriter<Sink>) -> BufWriter<Sink> {
    let (sink, _unwritten) = out.into_parts();
    BufWriter::with_capacity(64 << 10, sink)
}

/// Whoever read the output has stopped; a user who pipes into `head` expects no complaint.
fn gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

fn close(shared: &Shared) {
    shared.closed.store(true, Ordering::Release);
    shared.on_close.notify_one();
}
