//! Reading a file of events: line by line, hashed on the way, with what cannot be used named and counted.

use std::io::{self, BufRead};

use sha2::{Digest as _, Sha256};

use super::gather::Collected;
use super::record::{Kind, Record, Wrong};
use crate::event::text::escaped;
use crate::hash::Digest;

/// Far more than an event has, which is 8 KiB.
const LINE_MAX: usize = 1 << 20;

/// How many lines of a file are named at most. Of the others there is the count.
const NAMED: usize = 50;

#[derive(Debug, Default)]
pub struct Input {
    /// Spelled out.
    pub name: String,
    pub sha256: String,
    pub bytes: u64,
    pub usable: u64,
    pub bad: u64,
    /// Number and reason of the first bad ones.
    pub named: Vec<(u64, String)>,
    alerts: u64,
    held: u64,
    checks: u64,
}

impl Input {
    /// Reads to the end. `complain` hears of each line that is named.
    pub fn read(
        name: &str,
        number: u32,
        source: &mut dyn BufRead,
        into: &mut Collected,
        mut complain: impl FnMut(&str),
    ) -> io::Result<Self> {
        let mut input = Self { name: name.to_owned(), ..Self::default() };
        let (mut hash, mut line) = (Sha256::new(), Vec::new());
        for count in 1u64.. {
            line.clear();
            let (read, fits) = next(source, &mut hash, &mut line)?;
            if read == 0 {
                break;
            }
            input.bytes += read;
            if fits && line.trim_ascii().is_empty() {
                continue;
            }
            let record = if fits { Record::parse(&line) } else { Err(Wrong::TooLong) };
            match record {
                Ok(record) => {
                    input.tally(record.kind);
                    into.add(record, number, count);
                }
                Err(wrong) => input.refuse(count, &wrong, &mut complain),
            }
        }
        if input.named.len() as u64 != input.bad {
            complain(&format!("{name}: {} lines are left out, the first {NAMED} are named here", input.bad));
        }
        input.sha256 = Digest(hash.finalize().into()).to_string();
        Ok(input)
    }

    fn tally(&mut self, kind: Kind) {
        self.usable += 1;
        match kind {
            Kind::Alert | Kind::Allowed => self.alerts += 1,
            Kind::Snapshot => self.held += 1,
            Kind::Posture => self.checks += 1,
            Kind::Health | Kind::Lifecycle => {}
        }
    }

    fn refuse(&mut self, line: u64, wrong: &Wrong, complain: &mut impl FnMut(&str)) {
        self.bad += 1;
        if self.named.len() < NAMED {
            let why = escaped(&wrong.to_string());
            complain(&format!("{}:{line}: {why}; the line is left out", self.name));
            self.named.push((line, why));
        }
    }

    /// What wrote it, as far as its events tell.
    pub fn kind(&self) -> &'static str {
        let watches = self.usable > self.checks;
        match (watches, self.checks > 0, self.held > 0 && self.alerts == 0) {
            (true, true, _) => "run and posture",
            (true, false, true) => "snapshot",
            (true, false, false) => "run",
            (false, ..) => "posture",
        }
    }
}

/// The next line without its end, whether it fits, and how many bytes were read.
fn next(source: &mut dyn BufRead, hash: &mut Sha256, line: &mut Vec<u8>) -> io::Result<(u64, bool)> {
    let (mut read, mut fits) = (0, true);
    loop {
        let buffer = match source.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let piece = buffer.get(..end.map_or(buffer.len(), |end| end + 1)).unwrap_or(buffer);
        hash.update(piece);
        fits &= line.len() + piece.len() <= LINE_MAX;
        if fits {
            line.extend_from_slice(piece);
        }
        let length = piece.len();
        read += length as u64;
        source.consume(length);
        if end.is_some() || length == 0 {
            return Ok((read, fits));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::sha256;

    const STARTED: &str = r#"{"schema":"1.0","kind":"lifecycle","time":"2026-11-23T14:45:12Z","severity":"info","run_id":"r","seq":1,"lifecycle":{"state":"started"}}"#;

    fn read(bytes: &[u8]) -> (Input, Vec<String>) {
        let mut said = Vec::new();
        let mut collected = Collected::default();
        let input = Input::read("f", 0, &mut &bytes[..], &mut collected, |text| said.push(text.to_owned()));
        (input.unwrap(), said)
    }

    #[test]
    fn bad_lines_are_named_and_the_rest_is_used() {
        let other = STARTED.replace("\"seq\":1", "\"seq\":2");
        let text = format!("\n{STARTED}\nno event\n\n\x1b[31m\n{other}");
        let (input, said) = read(text.as_bytes());
        assert_eq!((input.usable, input.bad), (2, 2));
        assert_eq!(input.named.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3, 5]);
        assert_eq!((input.bytes, input.sha256), (text.len() as u64, sha256(text.as_bytes())));
        assert!(said[0].starts_with("f:3: is no event: ") && said.len() == 2, "{said:?}");
        assert!(!said.concat().contains('\x1b'));
    }

    #[test]
    fn a_line_without_end_takes_no_memory_and_the_next_is_read() {
        let text = format!("{}\n{STARTED}\n", "x".repeat(3 * LINE_MAX));
        let (input, said) = read(text.as_bytes());
        assert_eq!((input.usable, input.bad), (1, 1));
        assert!(said[0].starts_with("f:1: is longer than 1 MiB"), "{said:?}");
        assert_eq!(input.sha256, sha256(text.as_bytes()));
    }

    #[test]
    fn so_many_bad_lines_are_counted() {
        let (input, said) = read("x\n".repeat(500).as_bytes());
        assert_eq!((input.bad, input.named.len(), said.len()), (500, NAMED, NAMED + 1));
        assert_eq!(said[NAMED], "f: 500 lines are left out, the first 50 are named here");
    }

    #[test]
    fn what_wrote_a_file_is_told_by_what_is_in_it() {
        let access = |kind: &str| {
            STARTED.replace("lifecycle\",\"time", &format!("{kind}\",\"time")).replace(
                "\"seq\":1",
                r#""seq":2,"target":{"class":"credential","type":"file"},"verdict":{"result":"violation"}"#,
            )
        };
        let check = STARTED.replace("\"kind\":\"lifecycle\"", "\"kind\":\"posture\"");
        for (lines, kind) in [
            (vec![STARTED.to_owned()], "run"),
            (vec![STARTED.to_owned(), access("alert"), access("snapshot")], "run"),
            (vec![STARTED.to_owned(), access("snapshot")], "snapshot"),
            (vec![check.clone()], "posture"),
            (vec![check, access("allowed")], "run and posture"),
        ] {
            let (input, said) = read(lines.join("\n").as_bytes());
            assert_eq!((input.kind(), said), (kind, vec![]), "{lines:?}");
        }
    }
}
