//! From lines to events, in a thread of its own.

use std::io::{self, BufRead, Read as _};
use std::thread;

use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::report::record::{Record, Wrong};

/// Far more than an event has.
const LINE_MAX: u64 = 1 << 20;

/// More is not read before it was shown. Whoever writes has a queue of its own.
const AHEAD: usize = 256;

/// What came of a line.
#[derive(Debug)]
pub enum Line {
    Event(Box<Record>),
    /// It is no event, for this reason.
    Wrong(String),
    /// There are no more.
    End,
}

/// Reads events until there are no more.
pub fn feed(source: Box<dyn BufRead + Send>) -> Receiver<Line> {
    let (sender, receiver) = channel(AHEAD);
    // It ends with its source, or when nobody wants to know any more.
    thread::spawn(move || read(source, &sender));
    receiver
}

fn read(mut source: Box<dyn BufRead + Send>, sender: &Sender<Line>) {
    let mut line = Vec::new();
    let end = loop {
        line.clear();
        let told = match next(&mut *source, &mut line) {
            Ok(0) => break Line::End,
            Ok(_) if line.trim_ascii().is_empty() => continue,
            Ok(_) => match parsed(&line) {
                Ok(record) => Line::Event(Box::new(record)),
                Err(wrong) => Line::Wrong(wrong.to_string()),
            },
            Err(error) => {
                let _unheard = sender.blocking_send(Line::Wrong(format!("cannot be read: {error}")));
                break Line::End;
            }
        };
        if sender.blocking_send(told).is_err() {
            return;
        }
    };
    // Nobody may want to know any more.
    let _unheard = sender.blocking_send(end);
}

fn parsed(line: &[u8]) -> Result<Record, Wrong> {
    if line.len() as u64 > LINE_MAX { Err(Wrong::TooLong) } else { Record::parse(line) }
}

/// A line, of which more than the longest is passed over.
fn next(source: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    let read = source.take(LINE_MAX + 1).read_until(b'\n', line)?;
    if line.len() as u64 > LINE_MAX && line.last() != Some(&b'\n') {
        source.skip_until(b'\n')?;
    }
    Ok(read)
}
