//! A recorded line as a report reads it. Fields of later versions are passed over, and what a report does not need is not kept.

mod access;
mod own;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use thiserror::Error;

pub use self::access::{Manifest, ManifestPod, Process, Relative, Target};
pub use self::own::{Evidence, Health, Lifecycle, Posture};
use crate::model::Severity;
use crate::verdict::Outcome;

/// Why a line is left out.
#[derive(Debug, Error)]
pub enum Wrong {
    #[error("is longer than 1 MiB, and no event is; give files as `bypassd run --format native` writes them")]
    TooLong,
    #[error("is no event: {0}")]
    NoEvent(#[from] serde_json::Error),
    #[error("is an event in the format {0}; record with --format native")]
    OtherFormat(&'static str),
    #[error("has the schema version {0:?}, this report reads 1.x; use the bypassd that wrote it")]
    Schema(String),
    #[error("has the time {0:?}, which is none by RFC 3339")]
    Time(String),
    #[error("is the event of an access, and has no {0}")]
    Missing(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Alert,
    Allowed,
    Snapshot,
    Posture,
    Health,
    Lifecycle,
}

#[derive(Debug, Deserialize)]
pub struct Record {
    schema: String,
    pub kind: Kind,
    pub time: String,
    /// The same.
    #[serde(skip)]
    pub at: Timestamp,
    #[serde(default)]
    pub seq: u64,
    #[serde(default)]
    pub run_id: String,
    #[serde(default)]
    pub node: Node,
    #[serde(default)]
    pub agent: Agent,
    pub severity: Severity,
    pub rule: Option<Rule>,
    pub verdict: Option<Verdict>,
    #[serde(default)]
    pub message: String,
    pub action: Option<String>,
    pub outcome: Option<Ended>,
    pub process: Option<Box<Process>>,
    pub target: Option<Box<Target>>,
    pub manifest: Option<Box<Manifest>>,
    pub follows: Option<IgnoredAny>,
    pub count: Option<u64>,
    #[serde(default)]
    pub enrichment_errors: Vec<String>,
    #[serde(default)]
    pub truncated: bool,
    pub lifecycle: Option<Box<Lifecycle>>,
    pub health: Option<Box<Health>>,
    pub posture: Option<Box<Posture>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Node {
    pub name: String,
    pub kernel: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Agent {
    pub version: String,
    pub backend: Option<String>,
    pub config_sha256: String,
}

#[derive(Debug, Deserialize)]
pub struct Rule {
    pub id: String,
    #[serde(default)]
    pub name: String,
}

#[derive(Debug, Deserialize)]
pub struct Verdict {
    pub result: Outcome,
    #[serde(default)]
    pub detail: String,
    pub matched: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Ended {
    pub status: String,
    pub errno: Option<i32>,
}

impl Record {
    /// One line of a file.
    pub fn parse(line: &[u8]) -> Result<Self, Wrong> {
        let read = serde_json::from_slice::<Self>(line);
        let mut record = read.map_err(|error| other_format(line).unwrap_or(Wrong::NoEvent(error)))?;
        if record.schema.split_once('.').map_or(record.schema.as_str(), |(major, _)| major) != "1" {
            return Err(Wrong::Schema(record.schema));
        }
        record.at = record.time.parse().map_err(|_| Wrong::Time(record.time.clone()))?;
        let missing = match record.kind {
            Kind::Alert | Kind::Allowed | Kind::Snapshot if record.target.is_none() => Some("target"),
            Kind::Alert | Kind::Allowed | Kind::Snapshot if record.verdict.is_none() => Some("verdict"),
            _ => None,
        };
        missing.map_or(Ok(record), |what| Err(Wrong::Missing(what)))
    }
}

/// What `run` writes for others does not have all that a report tells.
fn other_format(line: &[u8]) -> Option<Wrong> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let format = if value.get("ecs").is_some() {
        "ecs"
    } else if value.get("class_uid").is_some() {
        "ocsf"
    } else if value.get("output_fields").is_some() {
        "falco"
    } else {
        return None;
    };
    Some(Wrong::OtherFormat(format))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_event_there_is_can_be_read() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/events");
        for entry in fs::read_dir(fixtures).unwrap() {
            let path = entry.unwrap().path();
            let record = Record::parse(&fs::read(&path).unwrap());
            assert!(record.is_ok(), "{}: {record:?}", path.display());
        }
    }

    #[test]
    fn what_is_no_event_is_said_in_one_sentence() {
        let event = r#"{"schema":"1.7","kind":"health","time":"2026-11-23T14:45:12.7Z","severity":"info","new":{"a":[1]}}"#;
        assert!(Record::parse(event.as_bytes()).is_ok());
        let access = event.replace("health", "alert");
        for (line, word) in [
            ("[]", "is no event"),
            ("{", "is no event"),
            ("\u{1b}[31m", "is no event"),
            (r#"{"@timestamp":"x","ecs":{"version":"9"}}"#, "format ecs"),
            (r#"{"class_uid":1001}"#, "format ocsf"),
            (r#"{"output":"x","output_fields":{}}"#, "format falco"),
            (&event.replace("1.7", "2.0"), "schema version \"2.0\""),
            (&event.replace("2026-11-23T", "yesterday "), "none by RFC 3339"),
            (&access, "no target"),
            (&"[".repeat(100_000), "is no event"),
        ] {
            let wrong = Record::parse(line.as_bytes()).unwrap_err().to_string();
            assert!(wrong.contains(word) && !wrong.contains('\n'), "{wrong}");
        }
    }
}
