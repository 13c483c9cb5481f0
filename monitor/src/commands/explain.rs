//! `bypassd explain`

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use serde_json::{Deserializer, Value};

use super::{CommandError, open, print, process, rules};
use crate::cli::Explain;
use crate::config::Rule;
use crate::decide::Tried;
use crate::event::text::{escaped, harmless};
use crate::exit::Exit;
use crate::replay::{Recorded, decide, is_about_access, suggest, suspect, tried};
use crate::verdict::Reason;

/// An event has 8 KiB, and one screen explains one.
const SIZE_MAX: u64 = 1 << 20;

pub(super) fn explain(opts: &Explain) -> Result<Exit, CommandError> {
    match (&opts.event, opts.pid) {
        (_, Some(pid)) => process::explain(pid, opts.config.as_deref()),
        (event, None) => of_event(event.as_deref().unwrap_or(Path::new("-")), opts.config.as_deref()),
    }
}

fn of_event(path: &Path, policy: Option<&Path>) -> Result<Exit, CommandError> {
    let rules = rules(policy)?;
    let name = escaped(&path.to_string_lossy());
    let wrong = |what: String| CommandError::Event { name: name.clone(), what };
    let mut text = Vec::new();
    let read = open(path)?.take(SIZE_MAX).read_to_end(&mut text);
    read.map_err(|source| CommandError::Io { doing: "cannot read the event", source })?;
    // An object, however it is indented.
    let event = Deserializer::from_slice(&text).into_iter::<Value>().next();
    let event = event.ok_or_else(|| wrong("is empty; give one event as JSON".to_owned()))?;
    let event = event.map_err(|error| wrong(format!("is not an event: {}", escaped(&error.to_string()))))?;
    if !is_about_access(&event) {
        return Err(wrong("is no access; give an event of kind alert, allowed or snapshot".to_owned()));
    }
    let recorded = Recorded::read(&event)
        .map_err(|error| wrong(format!("is not an event of an access: {}", escaped(&error.to_string()))))?;
    print(&explained(&rules, &recorded))
}

fn explained(rules: &[Rule], recorded: &Recorded) -> String {
    let mut text = String::new();
    let verdict = decide(rules, recorded);
    let mut line = |words: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "{words}");
    };
    line(format_args!("{}", harmless(&recorded.message)));
    line(format_args!(""));
    let result = if verdict.is_violation() { "a violation" } else { "allowed" };
    line(format_args!("By this policy it is {result}: {}", harmless(&verdict.detail)));
    let then = &recorded.verdict;
    if then.result != verdict.result {
        line(format_args!("When it was recorded it was not: {}", harmless(&then.detail)));
    }
    line(format_args!(""));
    let class = recorded.target.class;
    let tried = tried(rules, recorded);
    if tried.is_empty() {
        line(format_args!("No rule is about {class}."));
    } else {
        line(format_args!("Rules about {class}:"));
    }
    for Tried { rule: id, miss } in &tried {
        let Some((reason, detail)) = miss else {
            line(format_args!("  {:<28}  matches", escaped(id)));
            continue;
        };
        let exes = rules.iter().filter(|rule| rule.id == *id).flat_map(|rule| &rule.process.exe);
        let exes: Vec<_> = exes.map(|path| escaped(&path.to_string_lossy())).collect();
        let detail = match reason {
            Reason::ExeMismatch => format!("it names {}", exes.join(", ")),
            _ => harmless(detail),
        };
        let code = serde_json::to_value(reason).unwrap_or_default();
        line(format_args!("  {:<28}  {:<20}  {detail}", escaped(id), code.as_str().unwrap_or_default()));
    }
    if verdict.is_violation() {
        line(format_args!(""));
        match suggest(recorded) {
            Ok(rule) => {
                if let Some(why) = suspect(recorded) {
                    line(format_args!("Look closely: {why}."));
                }
                line(format_args!("If it is expected, this under `allow` says so:"));
                line(format_args!("{}", rule.to_yaml().trim_end()));
            }
            Err(why) => line(format_args!("No rule should allow it: {why}.")),
        }
    }
    text
}
