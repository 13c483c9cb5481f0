//! An access in the words of the timeline.

use jiff::Timestamp;

use super::escape::{said, shown};
use super::record::{Record, Target};

/// What it was done to.
pub(super) fn object(target: &Target) -> String {
    let with = |name: &str, value: &Option<String>| match value {
        Some(value) => format!(" ({name} {})", shown(value)),
        None => String::new(),
    };
    if let Some(port) = target.dst_port {
        let address = |ip: &Option<String>| shown(ip.as_deref().unwrap_or("?"));
        let from = target.src_ip.as_ref().map(|_| format!(" (from {})", address(&target.src_ip)));
        let ip = address(&target.dst_ip);
        let ip = if ip.contains(':') { format!("[{ip}]") } else { ip };
        return format!("{ip}:{port}{}", from.unwrap_or_default());
    }
    if let (Some(exe), Some(pid)) = (&target.exe, target.pid) {
        return format!("{}[{pid}]", shown(exe));
    }
    let Target { path, path_seen, from, to, source, .. } = target;
    let more = [("as", path_seen), ("from", from), ("to", to), ("source", source)];
    shown(path) + &more.map(|(name, value)| with(name, value)).concat()
}

pub(super) fn why(record: &Record) -> String {
    let Some(verdict) = &record.verdict else { return String::new() };
    match &verdict.matched {
        Some(rule) if verdict.detail.is_empty() => format!("rule {}", shown(rule)),
        _ => said(&verdict.detail),
    }
}

pub(super) fn outcome(record: &Record) -> String {
    match &record.outcome {
        Some(ended) if ended.status == "failure" => match ended.errno {
            Some(errno) => format!("failed: {}", std::io::Error::from_raw_os_error(errno)),
            None => "failed".to_owned(),
        },
        Some(ended) => shown(&ended.status),
        None => String::new(),
    }
}

pub(super) fn unknown(record: &Record) -> String {
    let cut = record.truncated.then(|| "something was left out".to_owned());
    let errors = record.enrichment_errors.iter().map(|error| said(error));
    cut.into_iter().chain(errors).collect::<Vec<_>>().join("; ")
}

/// Of an access's time, as events write it, to the microsecond.
pub fn time(at: i64) -> String {
    Timestamp::from_microsecond(at).map_or_else(|_| at.to_string(), |at| format!("{at:.6}"))
}
