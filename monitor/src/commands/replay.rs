//! `bypassd replay`

use std::io::{BufRead as _, Read as _};

use serde_json::{Value, json};

use super::{CommandError, complain, open, print, rules};
use crate::cli::Replay;
use crate::config::Rule;
use crate::event::text::escaped;
use crate::exit::Exit;
use crate::replay::{Recorded, decide, is_access};

/// Far more than an event has, which is 8 KiB.
const LINE_MAX: u64 = 1 << 20;

#[derive(Debug, Default)]
struct Counts {
    violations: u64,
    new: u64,
    allowed: u64,
    newly_allowed: u64,
    wrong: u64,
}

pub(super) fn replay(opts: &Replay) -> Result<Exit, CommandError> {
    let rules = rules(opts.config.as_deref())?;
    let name = escaped(&opts.file.to_string_lossy());
    let mut input = open(&opts.file)?;
    let mut counts = Counts::default();
    let mut line = Vec::new();
    let shape = opts.format.shape(opts.ocsf_class);
    for number in 1u64.. {
        line.clear();
        let read = input.by_ref().take(LINE_MAX).read_until(b'\n', &mut line);
        if read.map_err(|source| CommandError::Io { doing: "cannot read the events", source })? == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match again(&rules, &line, &mut counts) {
            Ok(Some(event)) => {
                let event = shape.map_or(event.clone(), |shape| shape.of(event));
                print(&format!("{event}\n"))?;
            }
            Ok(None) => {}
            Err(error) => {
                counts.wrong += 1;
                complain(&format!("{name}:{number}: {}; the line is left out", escaped(&error.to_string())));
            }
        }
    }
    let Counts { violations, new, allowed, newly_allowed, wrong } = counts;
    complain(&format!(
        "{violations} violations, {new} of them allowed when they were recorded; \
         {allowed} allowed accesses, {newly_allowed} of them violations then"
    ));
    Ok(match (wrong, violations) {
        (1.., _) => Exit::Usage,
        (0, 1..) if opts.exit_code => Exit::Findings,
        (0, _) => Exit::Fine,
    })
}

/// The event as it would be under these rules, if it is a violation.
fn again(rules: &[Rule], line: &[u8], counts: &mut Counts) -> Result<Option<Value>, serde_json::Error> {
    let mut event: Value = serde_json::from_slice(line)?;
    if !is_access(&event) {
        return Ok(None);
    }
    let recorded = Recorded::read(&event)?;
    let (was, now) = (&recorded.verdict, decide(rules, &recorded));
    if !now.is_violation() {
        counts.allowed += 1;
        counts.newly_allowed += u64::from(was.is_violation());
        return Ok(None);
    }
    counts.violations += 1;
    counts.new += u64::from(!was.is_violation());
    if event["kind"] == "allowed" {
        event["kind"] = json!("alert");
    }
    event["verdict"] = json!(now);
    Ok(Some(event))
}
