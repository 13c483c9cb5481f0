//! All that an event says, in lines.

use super::model::Entry;
use crate::event::text::{escaped, harmless};
use crate::report::record::{Process, Record, Relative, Target};

/// A name and what it has; without a name, what goes on from above.
pub type Fact = (&'static str, String);

pub fn facts(entry: &Entry) -> Vec<Fact> {
    let record = &entry.record;
    let mut facts = vec![("what", harmless(&record.message)), ("time", escaped(&record.time))];
    facts.push(("severity", record.severity.name().to_owned()));
    facts.extend(
        record.rule.iter().map(|rule| ("rule", format!("{} ({})", escaped(&rule.id), escaped(&rule.name)))),
    );
    if let Some(verdict) = &record.verdict {
        facts.push(("why", harmless(&verdict.detail)));
    }
    if let Some(outcome) = &record.outcome {
        let errno = outcome.errno.map(|errno| format!(", errno {errno}")).unwrap_or_default();
        facts.push(("outcome", format!("{}{errno}", escaped(&outcome.status))));
    }
    facts.extend(record.count.filter(|count| *count > 1).map(|count| ("count", count.to_string())));
    facts.extend(record.target.iter().flat_map(|target| of_target(target)));
    facts.extend(record.process.iter().flat_map(|process| of_process(process)));
    facts.extend(of_manifest(record));
    facts.extend(of_daemon(record));
    let errors = record.enrichment_errors.iter();
    facts.extend(errors.map(|error| ("not known", harmless(error))));
    facts
}

fn of_target(target: &Target) -> Vec<Fact> {
    let mut facts = vec![("door", target.class.name().to_owned())];
    let mut add = |name, text: Option<&String>| facts.extend(text.map(|text| (name, escaped(text))));
    add("path", Some(&target.path).filter(|path| !path.is_empty()));
    add("seen as", target.path_seen.as_ref());
    add("from", target.from.as_ref());
    add("to", target.to.as_ref());
    add("source", target.source.as_ref());
    add("program", target.exe.as_ref());
    if let Some(port) = target.dst_port {
        let [from, to] = [&target.src_ip, &target.dst_ip].map(|ip| escaped(ip.as_deref().unwrap_or("?")));
        facts.push(("address", format!("{from} to {to} port {port}")));
    }
    facts
}

fn of_process(process: &Process) -> Vec<Fact> {
    let mut facts = vec![("process", named(process.exe.as_ref(), &process.comm, process.pid))];
    if let Some(args) = &process.args {
        let args: Vec<_> = args.iter().map(|arg| escaped(arg)).collect();
        facts.push(("args", args.join(" ")));
    }
    let is_other = process.euid != process.uid;
    let euid = if is_other { format!(", acting as {}", process.euid) } else { String::new() };
    facts.push(("user", format!("{}{euid}", process.uid)));
    let odd = [
        (process.exe_deleted, "its file is deleted"),
        (process.exe_memfd, "its file is in memory only"),
        (process.traced, "another process controls it"),
    ];
    let odd: Vec<_> = odd.into_iter().filter_map(|(is, what)| is.then_some(what)).collect();
    if !odd.is_empty() {
        facts.push(("mind", odd.join(", ")));
    }
    let mut add = |name, text: Option<&String>| facts.extend(text.map(|text| (name, escaped(text))));
    add("sha256", process.exe_sha256.as_ref());
    add("cwd", process.cwd.as_ref());
    add("unit", process.unit.as_ref());
    if let Some(pod) = &process.pod {
        let part = |text: &Option<String>| escaped(text.as_deref().unwrap_or("?"));
        let kind = if pod.is_static { " (static)" } else { "" };
        facts.push(("pod", format!("{}/{}{kind}", part(&pod.namespace), part(&pod.name))));
    }
    if let Some(container) = &process.container {
        let name = escaped(container.name.as_ref().unwrap_or(&container.id));
        let image = container.image.as_deref().map(|image| format!(", image {}", escaped(image)));
        facts.push(("container", name + &image.unwrap_or_default()));
    }
    facts.extend(ancestry(process));
    facts
}

/// From the first down to the process itself.
fn ancestry(process: &Process) -> Vec<Fact> {
    let relative = |relative: &Relative| named(relative.exe.as_ref(), &relative.comm, relative.pid);
    let mut line: Vec<_> = process.parent.iter().chain(&process.ancestors).map(relative).collect();
    if line.is_empty() {
        return Vec::new();
    }
    line.reverse();
    line.push(named(process.exe.as_ref(), &process.comm, process.pid));
    let branch = |(level, name): (usize, String)| {
        let label = if level == 0 { "started by" } else { "" };
        let stem = if level == 0 { String::new() } else { format!("{}└ ", "  ".repeat(level - 1)) };
        (label, stem + &name)
    };
    line.into_iter().enumerate().map(branch).collect()
}

fn named(exe: Option<&String>, comm: &str, pid: u32) -> String {
    format!("{}[{pid}]", escaped(exe.map_or(comm, String::as_str)))
}

fn of_manifest(record: &Record) -> Vec<Fact> {
    let Some(manifest) = &record.manifest else { return Vec::new() };
    let mut facts = Vec::new();
    facts.extend(manifest.problem.as_ref().map(|problem| ("manifest", escaped(problem))));
    for pod in &manifest.pods {
        let name = escaped(pod.name.as_deref().unwrap_or("?"));
        facts.push(("holds pod", format!("{}/{name}", escaped(&pod.namespace))));
        facts.extend(pod.images.iter().map(|image| ("image", escaped(image))));
        facts.extend(pod.host_paths.iter().map(|path| ("host path", escaped(path))));
    }
    if !manifest.attention.is_empty() {
        facts.push(("mind", escaped(&manifest.attention.join(" "))));
    }
    facts
}

fn of_daemon(record: &Record) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(lifecycle) = &record.lifecycle {
        facts.extend(lifecycle.targets_armed.iter().map(|armed| ("watching", escaped(&armed.target))));
        let waiting = lifecycle.targets_waiting.iter();
        facts.extend(
            waiting
                .map(|target| ("waiting", format!("{}: {}", escaped(&target.target), escaped(&target.why)))),
        );
        facts.extend(lifecycle.coverage_gaps.iter().map(|gap| ("not seen", escaped(gap))));
        facts.extend(lifecycle.policy_warnings.iter().map(|warning| ("mind", escaped(warning))));
        facts.extend(lifecycle.notes.iter().map(|note| ("note", escaped(note))));
    }
    if let Some(health) = &record.health {
        facts.extend(health.lost.iter().map(|(what, count)| ("lost", format!("{}: {count}", escaped(what)))));
        facts.extend(health.missing.iter().map(|missing| ("missing", escaped(missing))));
    }
    facts
}
