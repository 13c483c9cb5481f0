//! Events for people: a headline, and beneath it who did it and why it counts.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::format::Look;
use crate::event::text::{escaped, harmless};
use crate::event::{Event, Lifecycle, Manifest, Process, Started, described};
use crate::model::Severity;

pub(crate) fn write(out: &mut impl Write, event: &Event, look: Look, zone: &TimeZone) -> io::Result<()> {
    let style = if look.colour { style(event.severity) } else { Style::new() };
    let time = time(&event.time, zone);
    let severity = event.severity.name().to_uppercase();
    write!(out, "{time}  {style}{severity:<8}{style:#}  ")?;
    match (&event.lifecycle, &event.rule, &event.process) {
        (Some(lifecycle), ..) => {
            writeln!(out, "{}", harmless(&event.message))?;
            match &**lifecycle {
                Lifecycle::Started(started) => write_started(out, started)?,
                Lifecycle::SnapshotTaken(taken) => write_gaps(out, &taken.coverage_gaps)?,
                _ => {}
            }
        }
        (None, Some(rule), Some(process)) => {
            let (what, why) = headline(event);
            writeln!(out, "{:<26}  {}", rule.id, harmless(what))?;
            if let Some(manifest) = &event.manifest {
                // Who wrote it was said by the event before.
                return write_manifest(out, manifest);
            }
            if !why.is_empty() {
                writeln!(out, "{INDENT}why     {}", harmless(why))?;
            }
            write_process(out, process, look.tree)?;
        }
        _ => {
            writeln!(out, "{}", harmless(&event.message))?;
            for (reason, count) in event.health.iter().flat_map(|health| &health.lost) {
                writeln!(out, "{INDENT}{reason}: {count}")?;
            }
        }
    }
    Ok(())
}

/// As wide as the time and the severity.
const INDENT: &str = "                    ";

/// What happened, and why it counts. The event's message is both in one sentence.
fn headline(event: &Event) -> (&str, &str) {
    let why = event.verdict.as_ref().map_or("", |verdict| &verdict.detail);
    match event.message.strip_suffix(why).and_then(|what| what.strip_suffix(": ")) {
        Some(what) => (what, why),
        None => (&event.message, ""),
    }
}

fn write_started(out: &mut impl Write, started: &Started) -> io::Result<()> {
    for target in &started.targets_armed {
        writeln!(out, "{INDENT}watching  {:<20} {}", target.class.name(), escaped(&target.target))?;
    }
    for waiting in &started.targets_waiting {
        let (class, target) = (waiting.class.name(), escaped(&waiting.target));
        writeln!(out, "{INDENT}waiting   {class:<20} {target} ({})", escaped(&waiting.why))?;
    }
    write_gaps(out, &started.coverage_gaps)?;
    let warnings = &started.policy_warnings;
    warnings.iter().try_for_each(|warning| writeln!(out, "{INDENT}mind      {}", escaped(warning)))
}

fn write_gaps(out: &mut impl Write, gaps: &[String]) -> io::Result<()> {
    gaps.iter().try_for_each(|gap| writeln!(out, "{INDENT}not seen  {}", escaped(gap)))
}

fn write_process(out: &mut impl Write, process: &Process, tree: bool) -> io::Result<()> {
    if let Some(args) = &process.args {
        let args: Vec<_> = args.iter().map(|arg| quoted(arg)).collect();
        writeln!(out, "{INDENT}args    {}", args.join(" "))?;
    }
    write!(out, "{INDENT}user    {}", process.uid)?;
    if !process.host_ns.mnt {
        write!(out, ", in a container")?;
    }
    if let Some(unit) = &process.unit {
        write!(out, ", unit {}", escaped(unit))?;
    }
    writeln!(out)?;
    write_identity(out, process)?;
    write_origin(out, process, tree)
}

/// Who started it: from the parent upwards in one line, or as a tree from the first down to the process itself.
fn write_origin(out: &mut impl Write, process: &Process, tree: bool) -> io::Result<()> {
    let named = |exe: &Option<String>, comm: &str, pid: u32| {
        format!("{}[{pid}]", escaped(exe.as_deref().unwrap_or(comm)))
    };
    let chain = process.parent.iter().chain(&process.ancestors);
    let chain: Vec<_> =
        chain.map(|relative| named(&relative.exe.exe, &relative.comm, relative.pid)).collect();
    if chain.is_empty() {
        return Ok(());
    }
    if !tree {
        return writeln!(out, "{INDENT}from    {}", chain.join(" < "));
    }
    let own = named(&process.exe.exe, &process.comm, process.pid);
    for (level, name) in chain.iter().rev().chain([&own]).enumerate() {
        let label = if level == 0 { "from" } else { "" };
        let branch = if level == 0 { "" } else { "└─ " };
        writeln!(
            out,
            "{INDENT}{label:<7} {:indent$}{branch}{name}",
            "",
            indent = level.saturating_sub(1) * 3
        )?;
    }
    Ok(())
}

fn write_manifest(out: &mut impl Write, manifest: &Manifest) -> io::Result<()> {
    let many = |list: &[String]| list.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(" ");
    if let Some(link) = &manifest.link {
        writeln!(out, "{INDENT}link    {}", quoted(link))?;
    }
    for pod in &manifest.pods {
        writeln!(out, "{INDENT}{}", described(pod))?;
        for (label, list) in [("images", &pod.images), ("paths", &pod.host_paths)] {
            if !list.is_empty() {
                writeln!(out, "{INDENT}  {label:<8}{}", many(list))?;
            }
        }
    }
    if !manifest.attention.is_empty() {
        let attention: Vec<_> = manifest.attention.iter().map(|attention| attention.name()).collect();
        writeln!(out, "{INDENT}mind    {}", attention.join(" "))?;
    }
    Ok(())
}

/// The pod and the container, as far as they are known.
fn write_identity(out: &mut impl Write, process: &Process) -> io::Result<()> {
    let mut parts = Vec::new();
    if let Some(pod) = &process.pod {
        let part = |text: &Option<String>| text.as_deref().map_or_else(|| "?".to_owned(), escaped);
        let name = match (&pod.name, &pod.uid) {
            (None, Some(uid)) => format!("of uid {}", escaped(uid)),
            _ => format!("{}/{}", part(&pod.namespace), part(&pod.name)),
        };
        parts.push(name + if pod.is_static { " (static)" } else { "" });
    }
    if let Some(container) = &process.container {
        let name = container.name.as_deref();
        // Digits of a container of a pod are of no use to people.
        if let Some(name) = name.or((process.pod.is_none()).then_some(&container.id)) {
            parts.push(format!("container {}", escaped(name)));
        }
        parts.extend(container.image.as_deref().map(|image| format!("image {}", escaped(image))));
    }
    if parts.is_empty() {
        return Ok(());
    }
    let label = if process.pod.is_some() { "pod" } else { "in" };
    writeln!(out, "{INDENT}{label:<7} {}", parts.join(", "))
}

/// An argument as a shell would take it, if it needs quotes at all: one argument must not look like two.
fn quoted(arg: &str) -> String {
    let plain = |char: char| char.is_alphanumeric() || "-_./:=,@%+".contains(char);
    if !arg.is_empty() && arg.chars().all(plain) {
        escaped(arg)
    } else {
        format!("'{}'", escaped(arg).replace('\'', r"'\''"))
    }
}

/// Time of day where the reader is.
fn time(time: &str, zone: &TimeZone) -> String {
    time.parse::<Timestamp>()
        .map(|time| time.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string())
        .unwrap_or_default()
}

fn style(severity: Severity) -> Style {
    match severity {
        Severity::Info => Style::new().dimmed(),
        Severity::Low => AnsiColor::Cyan.on_default(),
        Severity::Medium => AnsiColor::Yellow.on_default(),
        Severity::High => AnsiColor::Red.on_default(),
        Severity::Critical => AnsiColor::Red.on_default().bold(),
    }
}

#[cfg(test)]
mod tests;
