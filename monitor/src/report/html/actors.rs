//! Who did it: processes below those that started them, and the pods they were in.

use super::Page;
use super::page::Html;
use super::summary::worst;
use crate::model::Class;
use crate::report::processes::Process;

/// How many processes that did something are shown, the gravest first.
const SHOWN: usize = 150;
/// Lists within lists beyond that go straight down, because nobody's screen is so wide.
const NESTED: usize = 24;

pub fn actors(html: &mut Html, page: &Page<'_>) {
    let list = &page.collected.processes.list;
    let mut acting: Vec<_> =
        (0..list.len()).filter(|number| list.get(*number).is_some_and(has_done)).collect();
    if acting.is_empty() {
        html.raw("<p>No process was recorded with an access.</p>");
        return;
    }
    let total = acting.len();
    acting.sort_by_key(|number| {
        std::cmp::Reverse(list.get(*number).map(|one| (one.worst, one.violations, one.allowed)))
    });
    acting.truncate(SHOWN);
    let tree = Tree::above(list, &acting);
    html.raw("<p>Each below the process that started it. Grey ones did nothing themselves.</p>");
    tree.write(html, page);
    html.more(total, acting.len(), "processes are in the timeline, with those that started them, but");
}

fn has_done(process: &Process) -> bool {
    process.violations > 0 || process.allowed > 0
}

/// The processes that are shown, with those above.
struct Tree<'a> {
    list: &'a [Process],
    roots: Vec<usize>,
    children: Vec<Vec<usize>>,
}

impl<'a> Tree<'a> {
    fn above(list: &'a [Process], acting: &[usize]) -> Self {
        let mut tree = Self { list, roots: Vec::new(), children: vec![Vec::new(); list.len()] };
        let mut seen = vec![false; list.len()];
        for number in acting {
            let mut number = *number;
            // It ends at the latest when all are seen.
            while let Some(is_seen) = seen.get_mut(number).filter(|is_seen| !**is_seen) {
                *is_seen = true;
                let parent =
                    list.get(number).and_then(|process| process.parent).map(|parent| parent as usize);
                match parent.and_then(|parent| Some((parent, tree.children.get_mut(parent)?))) {
                    Some((parent, children)) => {
                        children.push(number);
                        number = parent;
                    }
                    None => tree.roots.push(number),
                }
            }
        }
        tree
    }

    /// Without recursion: how deep it goes is for others to say.
    fn write(&self, html: &mut Html, page: &Page<'_>) {
        enum Step {
            Open(usize),
            Close(bool),
        }
        html.raw("<ul class=tree>");
        let mut depth = 0;
        let mut steps: Vec<_> = self.roots.iter().rev().map(|number| Step::Open(*number)).collect();
        while let Some(step) = steps.pop() {
            match step {
                Step::Close(nested) => {
                    html.raw(if nested { "</ul></li>" } else { "</li>" });
                    depth -= usize::from(nested);
                }
                Step::Open(number) => {
                    html.raw("<li>");
                    if let Some(process) = self.list.get(number) {
                        one(html, page, process);
                    }
                    let children = self.children.get(number).map_or(&[][..], Vec::as_slice);
                    let nested = !children.is_empty() && depth < NESTED;
                    if nested {
                        html.raw("<ul>");
                        depth += 1;
                    }
                    if nested || children.is_empty() {
                        steps.push(Step::Close(nested));
                    } else {
                        html.raw("</li>");
                    }
                    steps.extend(children.iter().rev().map(|child| Step::Open(*child)));
                }
            }
        }
        html.raw("</ul>");
    }
}

fn one(html: &mut Html, page: &Page<'_>, process: &Process) {
    if !has_done(process) {
        html.raw("<div class=quiet>")
            .code(&process.name)
            .raw(" ")
            .text(&process.pid.to_string())
            .raw("</div>");
        return;
    }
    html.raw("<details><summary>");
    if process.worst.is_some() {
        html.severity(process.worst).raw(" ");
    }
    html.code(&process.name).raw(" <span class=quiet>").text(&process.pid.to_string()).raw("</span> ");
    tally(html, process.violations, process.allowed);
    html.raw(" <span class=quiet>").text(&names(&process.classes)).raw("</span></summary><dl>");
    for (name, value) in &process.facts {
        html.raw("<dt>").raw(name).raw("</dt><dd>").code(page.collected.strings.get(*value)).raw("</dd>");
    }
    if let Some(pod) = process.pod.and_then(|number| page.collected.pods.get(number as usize)) {
        html.raw("<dt>pod</dt><dd>").code(&pod.name).raw("</dd>");
    }
    html.raw("</dl></details>");
}

fn tally(html: &mut Html, violations: u64, allowed: u64) {
    if violations > 0 {
        html.number(violations).raw(if violations == 1 { " violation" } else { " violations" });
    }
    if violations > 0 && allowed > 0 {
        html.raw(", ");
    }
    if allowed > 0 {
        html.number(allowed).raw(" allowed");
    }
}

fn names(classes: &[Class]) -> String {
    classes.iter().map(|class| class.name()).collect::<Vec<_>>().join(", ")
}

pub fn pods(html: &mut Html, page: &Page<'_>) {
    let mut pods: Vec<_> = page.collected.pods.iter().collect();
    if pods.is_empty() {
        html.raw("<p>No access came from a pod that is known.</p>");
        return;
    }
    pods.sort_by_key(|pod| std::cmp::Reverse((pod.worst, pod.violations, pod.allowed)));
    const SHOWN: usize = 200;
    html.table("Pods", &["Pod", "Worst", "Violations", "Allowed", "Doors", "Containers"]);
    for pod in pods.iter().take(SHOWN) {
        html.raw("<tr><th scope=row>").code(&pod.name).raw("</th>");
        worst(html, pod.worst);
        html.count(pod.violations).count(pod.allowed).cell(&names(&pod.classes));
        html.raw("<td>");
        for container in &pod.containers {
            html.raw("<div>").code(container).raw("</div>");
        }
        html.raw("</td></tr>");
    }
    html.end_table().more(pods.len(), SHOWN, "pods are");
}
