//! What came of each way, for people or programs.

use std::time::Duration;

use serde::Serialize;

use crate::event::text::escaped;
use crate::model::Backend;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Since just before the access.
    Seen {
        latency: Duration,
        kernel: Duration,
    },
    NotSeen,
    NotCovered(Backend),
    /// This node does not let anyone do it.
    Skipped {
        why: String,
    },
    /// It should have been possible.
    Failed {
        why: String,
    },
    /// It would be more than a test.
    NotTried {
        why: &'static str,
    },
}

impl Outcome {
    const fn name(&self) -> &'static str {
        match self {
            Self::Seen { .. } => "seen",
            Self::NotSeen => "not_seen",
            Self::NotCovered(_) => "not_covered",
            Self::Skipped { .. } => "skipped",
            Self::Failed { .. } => "failed",
            Self::NotTried { .. } => "not_tried",
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Seen { latency, kernel } => {
                format!("seen {:.2} ms (kernel {:.2} ms)", milliseconds(*latency), milliseconds(*kernel))
            }
            Self::NotSeen => "NOT SEEN".to_owned(),
            Self::NotCovered(backend) => format!("not covered by the {backend} backend"),
            Self::Skipped { why } => format!("skipped: {}", escaped(why)),
            Self::Failed { why } => format!("FAILED: {}", escaped(why)),
            Self::NotTried { why } => format!("not tried: {why}"),
        }
    }
}

/// A way and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    pub way: &'static str,
    pub name: &'static str,
    pub outcome: Outcome,
}

#[derive(Serialize)]
struct Line<'a> {
    way: &'a str,
    name: &'a str,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

impl Tried {
    pub fn line(&self, format: Format) -> String {
        let Self { way, name, outcome } = self;
        if format == Format::Text {
            return format!("{way:<30}  {:<34}  {name}\n", outcome.text());
        }
        let (latency_ms, kernel_ms) = match outcome {
            Outcome::Seen { latency, kernel } => (Some(milliseconds(*latency)), Some(milliseconds(*kernel))),
            _ => (None, None),
        };
        let why = match outcome {
            Outcome::Skipped { why } | Outcome::Failed { why } => Some(why.as_str()),
            Outcome::NotTried { why } => Some(*why),
            _ => None,
        };
        json(&Line { way, name, result: outcome.name(), latency_ms, kernel_ms, why })
    }
}

/// What came of all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    backend: Backend,
    seen: u32,
    not_seen: u32,
    not_covered: u32,
    skipped: u32,
    failed: u32,
    not_tried: u32,
    undecodable: u64,
}

#[derive(Serialize)]
struct Last<'a> {
    summary: &'a Summary,
}

impl Summary {
    pub const fn new(backend: Backend) -> Self {
        Self {
            backend,
            seen: 0,
            not_seen: 0,
            not_covered: 0,
            skipped: 0,
            failed: 0,
            not_tried: 0,
            undecodable: 0,
        }
    }

    pub fn add(&mut self, outcome: &Outcome) {
        let count = match outcome {
            Outcome::Seen { .. } => &mut self.seen,
            Outcome::NotSeen => &mut self.not_seen,
            Outcome::NotCovered(_) => &mut self.not_covered,
            Outcome::Skipped { .. } => &mut self.skipped,
            Outcome::Failed { .. } => &mut self.failed,
            Outcome::NotTried { .. } => &mut self.not_tried,
        };
        *count += 1;
    }

    pub fn undecodable(&mut self, records: u64) {
        self.undecodable = records;
    }

    /// Everything that had to come back did, and there was something.
    pub const fn is_fine(&self) -> bool {
        self.seen > 0 && self.not_seen == 0 && self.failed == 0 && self.undecodable == 0
    }

    pub fn line(&self, format: Format) -> String {
        if format == Format::Json {
            return json(&Last { summary: self });
        }
        let Self { backend, seen, not_seen, not_covered, skipped, failed, not_tried, undecodable } = self;
        let expected = seen + not_seen + failed;
        let mut text = format!("{seen} of {expected} ways that the {backend} backend covers came back");
        let rest = [
            (u64::from(*not_covered), "not covered"),
            (u64::from(*skipped), "skipped"),
            (u64::from(*failed), "failed"),
            (u64::from(*not_tried), "not tried (why: --format json)"),
            (*undecodable, "records were not understood"),
        ];
        for (count, what) in rest.into_iter().filter(|(count, _)| *count > 0) {
            text += &format!(", {count} {what}");
        }
        text + "\n"
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn json(line: &impl Serialize) -> String {
    match serde_json::to_string(line) {
        Ok(line) => line + "\n",
        // Strings and numbers always can.
        Err(error) => format!("{{\"error\":\"{error}\"}}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(outcome: Outcome) -> Tried {
        Tried { way: "open.read", name: "open for reading", outcome }
    }

    fn seen() -> Outcome {
        Outcome::Seen { latency: Duration::from_micros(310), kernel: Duration::from_micros(20) }
    }

    fn failed() -> Outcome {
        Outcome::Failed { why: "a\n\u{1b}[31mb".to_owned() }
    }

    const fn not_tried() -> Outcome {
        Outcome::NotTried { why: "it is a test" }
    }

    fn summary(outcomes: &[Outcome]) -> Summary {
        let mut summary = Summary::new(Backend::Syscall);
        outcomes.iter().for_each(|outcome| summary.add(outcome));
        summary
    }

    #[test]
    fn text_is_one_harmless_line() {
        for (outcome, wanted) in [
            (seen(), "seen 0.31 ms (kernel 0.02 ms)"),
            (Outcome::NotSeen, "NOT SEEN"),
            (Outcome::NotCovered(Backend::Syscall), "not covered by the syscall backend"),
            (failed(), "FAILED: a\\n\\u{1b}[31mb"),
            (not_tried(), "not tried: it is a test"),
        ] {
            let line = tried(outcome).line(Format::Text);
            assert_eq!(line.lines().count(), 1, "{line}");
            assert!(line.starts_with("open.read  ") && line.contains(wanted), "{line}");
        }
    }

    #[test]
    fn json_is_one_object_a_line() {
        let value: serde_json::Value = serde_json::from_str(&tried(seen()).line(Format::Json)).unwrap();
        assert_eq!(value["result"], "seen");
        assert!((value["latency_ms"].as_f64().unwrap() - 0.31).abs() < 1e-9);
        let value: serde_json::Value = serde_json::from_str(&tried(failed()).line(Format::Json)).unwrap();
        assert_eq!(value["why"], "a\n\u{1b}[31mb");
        let value: serde_json::Value = serde_json::from_str(&summary(&[seen()]).line(Format::Json)).unwrap();
        assert_eq!(value["summary"]["seen"], 1);
    }

    #[test]
    fn one_that_is_missing_is_not_fine() {
        let skipped = || Outcome::Skipped { why: String::new() };
        assert!(summary(&[seen(), skipped(), Outcome::NotCovered(Backend::Syscall)]).is_fine());
        assert!(!summary(&[seen(), Outcome::NotSeen]).is_fine());
        assert!(!summary(&[seen(), failed()]).is_fine());
        assert!(!summary(&[skipped()]).is_fine());
        assert!(!summary(&[]).is_fine());
    }

    #[test]
    fn the_end_counts() {
        let line = summary(&[seen(), Outcome::NotSeen, failed()]).line(Format::Text);
        assert_eq!(line, "1 of 3 ways that the syscall backend covers came back, 1 failed\n");
    }
}
