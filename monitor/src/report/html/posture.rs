//! How far the doors are shut.

use super::Page;
use super::page::{Html, joined};
use crate::event::PostureResult;
use crate::report::escape::{said, shown};
use crate::report::gather::Checked;
use crate::report::record::Evidence;

const SHOWN: usize = 500;

pub fn posture(html: &mut Html, page: &Page<'_>) {
    let mut checked: Vec<_> = page.collected.checked.iter().collect();
    if checked.is_empty() {
        html.raw("<p>No output of <code>bypassd posture</code> is among the inputs.</p>");
        return;
    }
    let count = |result| checked.iter().filter(|one| one.posture.result == result).count() as u64;
    html.raw("<p>");
    html.number(count(PostureResult::Fail)).raw(" fail, ").number(count(PostureResult::Warn)).raw(" warn, ");
    html.number(count(PostureResult::Unknown))
        .raw(" unknown, ")
        .number(count(PostureResult::Pass))
        .raw(" pass, ");
    html.number(count(PostureResult::NotApplicable)).raw(" not here.</p>");
    checked.sort_by_key(|one| std::cmp::Reverse(one.posture.result));
    let (open, good): (Vec<_>, Vec<_>) =
        checked.into_iter().partition(|one| one.posture.result >= PostureResult::Unknown);
    if !open.is_empty() {
        table(html, &open);
    }
    if !good.is_empty() {
        html.raw("<details><summary>")
            .number(good.len() as u64)
            .raw(" that passed or are about nothing here</summary>");
        table(html, &good);
        html.raw("</details>");
    }
}

fn table(html: &mut Html, list: &[&Checked]) {
    html.table("Checks", &["Result", "Check", "Found", "What to do"]);
    for one in list.iter().take(SHOWN) {
        let posture = &one.posture;
        html.raw("<tr><td>").raw(match posture.result {
            PostureResult::Fail => "<b class='s critical'>fail</b>",
            PostureResult::Warn => "<b class='s medium'>warn</b>",
            PostureResult::Unknown => "<b class='s low'>unknown</b>",
            PostureResult::Pass => "<b class='s info'>pass</b>",
            PostureResult::NotApplicable => "<b class='s info'>not here</b>",
        });
        html.raw("</td><th scope=row>")
            .code(&one.check)
            .raw("<small>")
            .text(&one.name)
            .raw("</small><small>");
        html.text(&one.node).raw(", ").text(&one.time).raw("</small></th><td>").text(&said(&posture.detail));
        for evidence in &posture.evidence {
            html.raw("<small>").code(&found(evidence)).raw("</small>");
        }
        if posture.omitted > 0 {
            html.raw("<small>").number(posture.omitted).raw(" more left out</small>");
        }
        html.raw("</td><td>").text(&shown(&posture.mitigation));
        if !posture.cis.is_empty() {
            html.raw("<small>CIS ").text(&joined(&posture.cis)).raw("</small>");
        }
        html.raw("</td></tr>");
    }
    html.end_table().more(list.len(), SHOWN, "checks are");
}

fn found(evidence: &Evidence) -> String {
    let Evidence { origin, process, file, key, value } = evidence;
    let value = value.as_ref().map_or_else(String::new, |value| format!(" = {}", shown(value)));
    let from = [Some(origin), file.as_ref(), process.as_ref()].into_iter().flatten();
    let from: Vec<_> = from.map(|text| shown(text)).collect();
    format!("{}{value} ({})", shown(key), from.join(", "))
}
