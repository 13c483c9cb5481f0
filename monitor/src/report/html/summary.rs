//! The top of the page: what it is about, the numbers, and what kinds of violations there were.

use super::Page;
use super::page::Html;
use crate::event::PostureResult;
use crate::model::Severity;
use crate::report::record::Kind;
use crate::report::runs::missing;
use crate::report::words::time;

pub fn head(html: &mut Html, page: &Page<'_>) {
    let runs = &page.collected.runs;
    let mut nodes: Vec<_> = runs.iter().map(|run| run.node.as_str()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    html.raw("<h1>Who went around the API server</h1><p>");
    match nodes.as_slice() {
        [] => html.raw("no node"),
        [node] => html.raw("Node ").code(node),
        [node, others @ ..] => {
            html.raw("Node ").code(node).raw(" and ").number(others.len() as u64).raw(" more")
        }
    };
    let first = runs.iter().map(|run| run.first).min();
    let last = runs.iter().map(|run| run.last).max();
    if let (Some(first), Some(last)) = (first, last) {
        let (first, last) = (time(first.as_microsecond()), time(last.as_microsecond()));
        html.raw(", recorded from <time>").text(&first).raw("</time> to <time>").text(&last).raw("</time>");
    }
    html.raw(". Made by bypassd ").raw(env!("CARGO_PKG_VERSION")).raw(".</p>");
}

pub fn summary(html: &mut Html, page: &Page<'_>) {
    let all = page.collected;
    let sum = |violation: bool| {
        let of = all.accesses.iter().filter(|access| access.is_violation == violation);
        of.fold(0u64, |sum, access| sum.saturating_add(access.count))
    };
    let held = all.accesses.iter().filter(|access| access.kind == Kind::Snapshot).count();
    let failed = all.checked.iter().filter(|check| check.posture.result == PostureResult::Fail).count();
    let actors = all.processes.list.iter().filter(|process| process.violations > 0).count();
    html.raw("<ul class=tiles>");
    for (number, name, is_bad) in [
        (sum(true), "violations", true),
        (sum(false), "allowed accesses", false),
        (held as u64, "held before the start", false),
        (actors as u64, "processes with violations", false),
        (all.pods.len() as u64, "pods", false),
        (all.written.len() as u64, "manifests written", false),
        (failed as u64, "failed checks", true),
    ] {
        html.raw(if is_bad && number > 0 { "<li class=bad>" } else { "<li>" });
        html.raw("<strong>").number(number).raw("</strong> ").raw(name).raw("</li>");
    }
    html.raw("</ul>");
    incomplete(html, page);
    if all.rules.is_empty() {
        html.raw("<p>No violation was recorded.</p>");
        return;
    }
    let mut rules: Vec<_> = all.rules.iter().collect();
    rules.sort_by_key(|(_, (_, worst, count))| std::cmp::Reverse((*worst, *count)));
    const SHOWN: usize = 50;
    html.table("Detections", &["Worst", "Detection", "What happened", "Violations"]);
    for (id, (name, worst, count)) in rules.iter().take(SHOWN) {
        html.raw("<tr><td>").severity(Some(*worst)).raw("</td><td>").code(id).raw("</td>");
        html.cell(name).count(*count).raw("</tr>");
    }
    html.end_table().more(rules.len(), SHOWN, "detections");
}

/// Says above everything else that something is not there.
fn incomplete(html: &mut Html, page: &Page<'_>) {
    let all = page.collected;
    let lost = all.lost.values().fold(0u64, |sum, count| sum.saturating_add(*count));
    let absent = all.runs.iter().fold(0u64, |sum, run| sum.saturating_add(missing(&run.numbers)));
    let bad = page.inputs.iter().map(|input| input.bad).sum();
    let parts = [
        (lost, "lost accesses or events"),
        (absent, "numbers of events that are not in these files"),
        (all.gaps.len() as u64, "things that were not seen or not known"),
        (bad, "lines of the inputs that could not be used"),
    ];
    if parts.iter().all(|(count, _)| *count == 0) {
        return;
    }
    html.raw("<p class=notice><b>Not complete:</b> ");
    let mut first = true;
    for (count, what) in parts.into_iter().filter(|(count, _)| *count > 0) {
        html.raw(if first { "" } else { ", " }).number(count).raw(" ").raw(what);
        first = false;
    }
    html.raw(". <a href=\"#gaps\">What is missing</a></p>");
}

/// Of a list of severities, the marks in one cell.
pub fn worst(html: &mut Html, worst: Option<Severity>) {
    html.raw("<td>");
    match worst {
        Some(worst) => html.severity(Some(worst)),
        None => html.raw("<span class=quiet>expected</span>"),
    };
    html.raw("</td>");
}
