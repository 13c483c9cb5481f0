use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::*;
use crate::event::samples;

/// What was written, as a test can look at it.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn events(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap();
        bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that has stopped reading until it is told to go on, and says when somebody waits for it.
struct Stalled {
    waits: Sender<()>,
    go_on: Receiver<()>,
    written: Written,
}

impl Write for Stalled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _gone = self.waits.send(());
        let _gone = self.go_on.recv();
        self.written.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Fails(io::ErrorKind);

impl Write for Fails {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn sample() -> Event {
    samples::hostile(b"/etc/kubernetes/manifests/a.yaml")
}

fn emitter(sink: impl Write + Send + 'static, queue: usize) -> Emitter {
    Emitter::with_queue(Format::Native, Sink::Other(Box::new(sink)), queue).unwrap()
}

fn seqs(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["seq"].as_u64().unwrap()).collect()
}

#[test]
fn events_are_numbered_and_written_in_order() {
    let written = Written::default();
    let mut emitter = emitter(written.clone(), 16);
    for _ in 0..5 {
        emitter.emit(sample());
    }
    let counters = emitter.finish();
    assert_eq!(counters, EmitCounters { written: 5, ..EmitCounters::default() });
    let events = written.events();
    assert_eq!(seqs(&events), [1, 2, 3, 4, 5]);
    let ids: std::collections::BTreeSet<_> = events.iter().map(|event| event["id"].to_string()).collect();
    assert_eq!(ids.len(), 5);
}

#[test]
fn a_full_queue_drops_counts_and_leaves_a_gap() {
    let written = Written::default();
    let (waits, waiting) = channel();
    let (go_on, told) = channel();
    let mut emitter = emitter(Stalled { waits, go_on: told, written: written.clone() }, 3);
    emitter.emit(sample());
    // The writer holds the first event and waits for its reader; three more fit into the queue.
    waiting.recv().unwrap();
    for _ in 0..5 {
        emitter.emit(sample());
    }
    assert_eq!(emitter.counters().dropped, 2);
    drop(go_on);
    emitter.emit(sample());
    while emitter.counters().written < 4 {
        thread::yield_now();
    }
    emitter.emit(sample());
    let dropped = emitter.counters().dropped;
    let counters = emitter.finish();
    assert_eq!(counters.written + counters.dropped, 8);
    let seqs = seqs(&written.events());
    assert_eq!(seqs[..4], [1, 2, 3, 4]);
    assert_eq!(*seqs.last().unwrap(), 8);
    assert_eq!(8 - seqs.len() as u64, dropped);
}

#[test]
fn a_flood_of_accesses_leaves_room_for_the_report_of_the_loss() {
    let written = Written::default();
    let (waits, waiting) = channel();
    let (go_on, told) = channel();
    let mut emitter = emitter(Stalled { waits, go_on: told, written: written.clone() }, 2);
    emitter.emit(sample());
    waiting.recv().unwrap();
    for _ in 0..10 {
        emitter.emit(sample());
    }
    emitter.emit(samples::context().health(samples::loss()));
    let EmitCounters { queued, dropped, .. } = emitter.counters();
    assert_eq!((queued, dropped), (3, 8));
    drop(go_on);
    let EmitCounters { queued, written: lines, .. } = emitter.finish();
    assert_eq!((queued, lines), (0, 4));
    let kinds: Vec<_> = written.events().iter().map(|event| event["kind"].to_string()).collect();
    assert_eq!(kinds, [r#""alert""#, r#""alert""#, r#""alert""#, r#""health""#]);
}

#[tokio::test]
async fn a_closed_output_is_told() {
    let mut emitter = emitter(Fails(io::ErrorKind::BrokenPipe), 3);
    let closed = emitter.closed();
    emitter.emit(sample());
    closed.await;
    emitter.emit(sample());
    assert_eq!(emitter.finish().failed, 0);
}

#[test]
fn a_failing_output_is_counted() {
    let mut emitter = emitter(Fails(io::ErrorKind::StorageFull), 3);
    emitter.emit(sample());
    assert_eq!(emitter.finish(), EmitCounters { failed: 1, ..EmitCounters::default() });
}
