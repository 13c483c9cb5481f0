//! An event in one line. Attackers choose names and arguments: all of it is spelled out.

use jiff::tz::TimeZone;

use crate::event::text::{escaped, harmless};
use crate::model::{Class, Severity};
use crate::report::record::{Kind, Process, Record, Target};
use crate::verdict::Outcome;

#[derive(Debug)]
pub struct Row {
    /// Of the day, where the reader is.
    pub time: String,
    pub severity: Severity,
    /// None: the daemon speaks of itself.
    pub class: Option<Class>,
    pub is_violation: bool,
    pub action: String,
    pub who: String,
    pub what: String,
    /// What a filter looks through, in small letters.
    pub searched: String,
}

impl Row {
    pub fn new(record: &Record, zone: &TimeZone) -> Self {
        let time = record.at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string();
        let target = record.target.as_deref();
        let action = match (record.kind, &record.action) {
            (Kind::Snapshot, _) => "held".to_owned(),
            (_, Some(action)) => escaped(action),
            (Kind::Posture, None) => "posture".to_owned(),
            (_, None) => String::new(),
        };
        let who = record.process.as_deref().map_or_else(String::new, who);
        let what = target.map_or_else(|| harmless(&record.message), what);
        let rule = record.rule.as_ref().map_or("", |rule| &rule.id);
        let searched = format!("{} {action} {who} {what} {} {rule}", record.severity.name(), record.message);
        Self {
            time,
            severity: record.severity,
            class: target.map(|target| target.class),
            is_violation: record.verdict.as_ref().is_some_and(|verdict| verdict.result == Outcome::Violation)
                && record.follows.is_none(),
            action,
            who,
            what,
            searched: searched.to_lowercase(),
        }
    }
}

/// The pod, if there is one: it says more than what runs in it.
fn who(process: &Process) -> String {
    let name = process.exe.as_deref().and_then(|exe| exe.rsplit('/').next()).unwrap_or(&process.comm);
    let own = format!("{}[{}]", escaped(name), process.pid);
    match process.pod.as_ref().and_then(|pod| pod.name.as_deref()) {
        Some(pod) => format!("{own} {}", escaped(pod)),
        None => own,
    }
}

fn what(target: &Target) -> String {
    if let Some(port) = target.dst_port {
        let to = target.dst_ip.as_deref().unwrap_or_default();
        let from = target.src_ip.as_deref().unwrap_or_default();
        return format!("{}:{port} from {}", escaped(to), escaped(from));
    }
    match &target.exe {
        Some(exe) if target.path.is_empty() => escaped(exe),
        _ => escaped(&target.path),
    }
}
