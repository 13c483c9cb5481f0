//! What the record does not have, and what it is made of.

use super::Page;
use super::page::Html;
use crate::report::gather::Said;
use crate::report::runs::{Run, missing};

const SHOWN: usize = 200;
/// Of each run.
const RANGES: usize = 20;

pub fn gaps(html: &mut Html, page: &Page<'_>) {
    let all = page.collected;
    html.raw("<h3>Lost</h3>");
    if all.lost.is_empty() && all.losses.is_empty() {
        html.raw("<p>No event of the monitor tells of a loss or of blindness.</p>");
    }
    if !all.lost.is_empty() {
        html.table("Losses by reason", &["Reason", "Accesses or events"]);
        for (reason, count) in all.lost.iter().take(SHOWN) {
            html.raw("<tr><th scope=row>").code(reason).raw("</th>").count(*count).raw("</tr>");
        }
        html.end_table();
    }
    news(html, "What the monitor said of its health", &all.losses);
    html.raw("<h3>Gaps in the numbers of events</h3>");
    numbers(html, &all.runs);
    if all.repeated > 0 {
        html.raw("<p>")
            .number(all.repeated)
            .raw(" events with the number of one that was read already are left out.</p>");
    }
    html.raw("<h3>Not covered</h3>");
    if all.gaps.is_empty() {
        html.raw("<p>The monitor named nothing that it could not see.</p>");
    } else {
        html.raw("<ul>");
        for (gap, times) in all.gaps.iter().take(SHOWN) {
            html.raw("<li>").text(gap);
            if *times > 1 {
                html.raw(" <span class=quiet>×").number(*times).raw("</span>");
            }
            html.raw("</li>");
        }
        html.raw("</ul>").more(all.gaps.len(), SHOWN, "are");
    }
    if all.incomplete > 0 {
        html.raw("<p>")
            .number(all.incomplete)
            .raw(" events are not whole: each says in the timeline what is not known.</p>");
    }
    if !all.news.is_empty() {
        html.raw("<details><summary>What the monitor said of its own life</summary>");
        news(html, "News of the monitor", &all.news);
        html.raw("</details>");
    }
}

fn numbers(html: &mut Html, runs: &[Run]) {
    let with: Vec<_> = runs.iter().filter(|run| missing(&run.numbers) > 0).collect();
    let unended = runs.iter().filter(|run| !run.is_posture && !run.stopped).count();
    if with.is_empty() {
        html.raw("<p>None: from 1 to the last, every event of each run is here.</p>");
    } else {
        html.raw("<p>Events that were lost, or that somebody took out of the files.</p>");
        html.table("Gaps by run", &["Run", "Missing", "Numbers"]);
        for run in with.iter().take(SHOWN) {
            let ranges = run.numbers.gaps().map(|(first, last)| {
                if first == last { first.to_string() } else { format!("{first}–{last}") }
            });
            let mut shown: Vec<_> = ranges.take(RANGES + 1).collect();
            if shown.len() > RANGES {
                shown.pop();
                shown.push("…".to_owned());
            }
            html.raw("<tr><th scope=row>").code(&run.id).raw("</th>").count(missing(&run.numbers));
            html.cell(&shown.join(", ")).raw("</tr>");
        }
        html.end_table().more(with.len(), SHOWN, "runs are");
    }
    if unended > 0 {
        html.raw("<p>").number(unended as u64).raw(" of ").number(runs.len() as u64);
        html.raw(
            " runs did not end in order within these files: what came after the last event is not known.</p>",
        );
    }
}

fn news(html: &mut Html, caption: &'static str, list: &[Said]) {
    if list.is_empty() {
        return;
    }
    html.table(caption, &["Time (UTC)", "Node", "Said"]);
    for one in list.iter().take(SHOWN) {
        html.raw("<tr><td><time>")
            .text(&one.time)
            .raw("</time></td>")
            .cell(&one.node)
            .cell(&one.what)
            .raw("</tr>");
    }
    html.end_table().more(list.len(), SHOWN, "are");
}

pub fn inputs(html: &mut Html, page: &Page<'_>) {
    html.table("Inputs", &["#", "File", "Written by", "Bytes", "Events", "Left out", "SHA-256"]);
    for (number, input) in (1..).zip(page.inputs) {
        html.raw("<tr>")
            .count(number)
            .raw("<th scope=row>")
            .code(&input.name)
            .raw("</th>")
            .cell(input.kind());
        html.count(input.bytes).count(input.usable).count(input.bad);
        html.raw("<td>").code(&input.sha256).raw("</td></tr>");
    }
    html.end_table();
    let bad = page.inputs.iter().flat_map(|input| input.named.iter().map(move |named| (input, named)));
    if bad.clone().next().is_some() {
        html.raw("<h3>Lines that could not be used</h3>");
        html.table("Lines that could not be used", &["File", "Line", "Which"]);
        for (input, (line, why)) in bad.take(SHOWN) {
            html.raw("<tr><th scope=row>").code(&input.name).raw("</th>").count(*line).cell(why).raw("</tr>");
        }
        html.end_table();
        let named = page.inputs.iter().map(|input| input.named.len()).sum::<usize>().min(SHOWN);
        let all = page.inputs.iter().fold(0u64, |sum, input| sum.saturating_add(input.bad));
        html.more(usize::try_from(all).unwrap_or(usize::MAX), named, "lines are");
    }
    html.raw("<h3>Runs of the monitor</h3>");
    html.table(
        "Runs",
        &["Run", "Node", "Kernel", "bypassd", "Hooks", "Events", "From", "To", "Policy (SHA-256)"],
    );
    for run in page.collected.runs.iter().take(SHOWN) {
        html.raw("<tr><th scope=row>").code(&run.id).raw("</th>").cell(&run.node).cell(&run.kernel);
        html.cell(&run.version).cell(if run.is_posture { "posture" } else { &run.backend }).count(run.events);
        html.cell(&format!("{:.3}", run.first)).cell(&format!("{:.3}", run.last));
        html.raw("<td>").code(&run.config_sha256).raw("</td></tr>");
    }
    html.end_table().more(page.collected.runs.len(), SHOWN, "runs are");
    html.raw("<p>Characters that cannot be seen, or that turn the reading direction, are written as <code>\\u{…}</code>, and a backslash as two. ");
    html.raw("This report was made by bypassd ").raw(env!("CARGO_PKG_VERSION"));
    html.raw(". Compare the hashes with <code>sha256sum</code>.</p>");
}
