//! The table of accesses. Here are the first, or the gravest of too many; the script takes the table over and shows all, by pages.

use super::Page;
use super::page::Html;
use crate::model::{Class, Severity};
use crate::report::gather::Access;
use crate::report::words::time;

/// How many are in the page as it is written: one can read them without the script, and print them.
const STATIC: usize = 200;

pub fn timeline(html: &mut Html, page: &Page<'_>) {
    let all = page.collected;
    if all.accesses.is_empty() {
        html.raw("<p>No access to a door was recorded.</p>");
        return;
    }
    filters(html, page);
    html.raw("<p id=shown aria-live=polite>");
    let rows = chosen(&all.accesses);
    if rows.len() < all.accesses.len() {
        html.raw("The ").number(rows.len() as u64).raw(" gravest of ").number(all.accesses.len() as u64);
        html.raw(" events; the script of this page shows all.");
    } else {
        html.number(rows.len() as u64).raw(" events.");
    }
    html.raw("</p>");
    html.raw("<div class=wide role=region tabindex=0 aria-label=\"Accesses\"><table id=events><thead><tr>");
    for column in ["Time (UTC)", "Severity", "Door", "Process", "Did", "What", "Why"] {
        html.raw("<th scope=col>").raw(column).raw("</th>");
    }
    html.raw("</tr></thead><tbody id=rows>");
    for access in rows {
        row(html, page, access);
    }
    html.raw("</tbody></table></div>");
    html.raw("<div id=pager class=pager hidden><button type=button id=firstpage>First</button><button type=button id=previous>Previous</button>");
    html.raw("<span id=place></span><button type=button id=nextpage>Next</button><button type=button id=lastpage>Last</button></div>");
}

/// In the order of time.
fn chosen(accesses: &[Access]) -> Vec<&Access> {
    if accesses.len() <= STATIC {
        return accesses.iter().collect();
    }
    let mut gravest: Vec<_> = (0..).zip(accesses).collect();
    gravest.sort_by_key(|(_, access)| std::cmp::Reverse((access.is_violation, access.severity)));
    gravest.truncate(STATIC);
    gravest.sort_by_key(|(place, _): &(usize, _)| *place);
    gravest.into_iter().map(|(_, access)| access).collect()
}

fn row(html: &mut Html, page: &Page<'_>, access: &Access) {
    let all = page.collected;
    let text = |number| all.strings.get(number);
    html.raw("<tr><td><time>").text(&short(access.at)).raw("</time></td><td>");
    html.severity(access.is_violation.then_some(access.severity)).raw("</td><td>").code(access.class.name());
    html.raw("</td><td>");
    match access.process.and_then(|number| all.processes.get(number)) {
        Some(process) => {
            html.code(&process.name).raw(" <span class=quiet>").text(&process.pid.to_string()).raw("</span>")
        }
        None => html.raw("<span class=quiet>nobody here</span>"),
    };
    html.raw("</td><td>").text(text(access.action));
    if access.count > 1 {
        html.raw(" ×").number(access.count);
    }
    html.raw("</td><td>").code(text(access.object)).raw("</td>").cell(text(access.why)).raw("</tr>");
}

/// To the millisecond, as the script has it.
fn short(at: i64) -> String {
    let text = time(at).replace('T', " ");
    text.get(..text.len().saturating_sub("000Z".len())).map_or_else(|| text.clone(), str::to_owned)
}

/// They do nothing without the script, which shows them.
fn filters(html: &mut Html, page: &Page<'_>) {
    html.raw(
        "<form id=filters class=filters hidden><label>Door <select id=door><option value=\"\">all</option>",
    );
    for class in Class::ALL {
        if page.collected.accesses.iter().any(|access| access.class == class) {
            html.raw("<option>").raw(class.name()).raw("</option>");
        }
    }
    html.raw("</select></label><label>Verdict <select id=verdict><option value=\"\">all</option><option>violation</option><option>allowed</option></select></label>");
    html.raw("<label>Severity <select id=severity><option value=\"\">all</option>");
    for severity in [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info] {
        html.raw("<option>").raw(severity.name()).raw("</option>");
    }
    html.raw("</select></label><label class=grow>Text <input type=search id=text autocomplete=off spellcheck=false placeholder=\"path, process, pod, reason …\"></label></form>");
}
