//! Events on their way out, many in one write.

use std::io::{self, Write};
use std::mem::take;

/// More bytes than this are not held back.
const FULL: usize = 64 << 10;

#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// Where each event ends.
    ends: Vec<usize>,
    /// The sink has already taken a part of the first event.
    begun: bool,
}

/// What became of the events of a batch.
#[derive(Debug, Default)]
pub(super) struct Flushed {
    pub written: u64,
    pub failed: u64,
    pub error: Option<io::Error>,
}

impl Batch {
    /// Adds what `write` writes as one event, or nothing when it fails.
    pub(super) fn add(&mut self, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<()> {
        let start = self.bytes.len();
        write(&mut self.bytes).inspect_err(|_| self.bytes.truncate(start))?;
        self.ends.push(self.bytes.len());
        Ok(())
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL
    }

    /// Writes everything. What a failing sink does not take is lost, but for the rest of an event it took a part of: that comes
    /// first the next time, so that a disk that was full for a moment leaves no two events in one line.
    pub(super) fn flush(&mut self, sink: &mut impl Write) -> Flushed {
        let (taken, result) = write(sink, &self.bytes);
        let Self { bytes, ends, begun } = take(self);
        let written = ends.partition_point(|end| *end <= taken);
        let start = written.checked_sub(1).map_or(0, |last| ends[last]);
        if let Some(end) = ends.get(written).copied()
            && (taken > start || (begun && written == 0))
        {
            let rest = bytes[taken..end].to_vec();
            *self = Self { ends: vec![rest.len()], bytes: rest, begun: true };
        } else if result.is_ok() {
            // The memory serves for the next batch.
            self.bytes = bytes;
            self.bytes.clear();
        }
        let failed = ends.len() - written - self.ends.len();
        Flushed { written: written as u64, failed: failed as u64, error: result.err() }
    }

    /// Nothing of its first event was written yet.
    pub(super) fn is_whole(&self) -> bool {
        !self.begun
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Events that wait for the next flush.
    pub(super) fn len(&self) -> u64 {
        self.ends.len() as u64
    }
}

/// Says how much the sink took, also when it fails.
fn write(sink: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut taken = 0;
    while taken < bytes.len() {
        match sink.write(&bytes[taken..]) {
            Ok(0) => return (taken, Err(io::ErrorKind::WriteZero.into())),
            Ok(some) => taken += some,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (taken, Err(error)),
        }
    }
    (taken, sink.flush())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Takes so many bytes, then fails.
    struct Room(usize, Vec<u8>);

    impl Write for Room {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let some = bytes.len().min(self.0);
            if some == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0 -= some;
            self.1.extend_from_slice(&bytes[..some]);
            Ok(some)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn batch(batch: &mut Batch, lines: &[&str]) {
        for line in lines {
            batch.add(|out| writeln!(out, "{line}")).unwrap();
        }
    }

    #[test]
    fn an_event_that_was_cut_by_a_full_disk_is_completed_first() {
        let (mut events, mut sink) = (Batch::default(), Room(6, Vec::new()));
        batch(&mut events, &["one", "two", "three"]);
        let Flushed { written, failed, error } = events.flush(&mut sink);
        assert_eq!((written, failed, error.is_some(), events.len()), (1, 1, true, 1));
        // Still full: what was begun stays.
        batch(&mut events, &["four"]);
        let Flushed { written, failed, .. } = events.flush(&mut sink);
        assert_eq!((written, failed, events.len()), (0, 1, 1));
        sink.0 = 100;
        batch(&mut events, &["five"]);
        let Flushed { written, failed, error } = events.flush(&mut sink);
        assert_eq!((written, failed, error.is_none(), events.len()), (2, 0, true, 0));
        assert_eq!(sink.1, b"one\ntwo\nfive\n");
    }

    #[test]
    fn an_event_that_cannot_be_written_leaves_nothing_behind() {
        let mut events = Batch::default();
        let half = events.add(|out| {
            out.extend_from_slice(b"half");
            Err(io::ErrorKind::InvalidData.into())
        });
        assert!(half.is_err());
        let mut sink = Room(100, Vec::new());
        batch(&mut events, &["whole"]);
        assert_eq!(events.flush(&mut sink).written, 1);
        assert_eq!(sink.1, b"whole\n");
    }

    proptest! {
        #[test]
        fn lines_are_whole_and_all_are_counted(rooms in proptest::collection::vec((0..40usize, 0..6usize), 1..20)) {
            let (mut events, mut sink) = (Batch::default(), Room(0, Vec::new()));
            let (mut given, mut written, mut failed) = (0, 0, 0);
            for (room, count) in rooms.into_iter().chain([(1000, 1)]) {
                sink.0 = room;
                for _ in 0..count {
                    batch(&mut events, &["<event>"]);
                    given += 1;
                }
                let flushed = events.flush(&mut sink);
                written += flushed.written;
                failed += flushed.failed;
                prop_assert_eq!(written + failed + events.len(), given);
            }
            let text = String::from_utf8(sink.1).unwrap();
            prop_assert_eq!(text.lines().count() as u64, written);
            prop_assert!(text.lines().all(|line| line == "<event>"));
        }
    }
}
