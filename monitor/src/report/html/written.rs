//! What was written into the directory of static pods.

use super::Page;
use super::page::{Html, joined};
use crate::report::escape::shown;
use crate::report::gather::Written;
use crate::report::record::ManifestPod;

const SHOWN: usize = 200;

pub fn manifests(html: &mut Html, page: &Page<'_>) {
    let all = &page.collected.written;
    if all.is_empty() {
        html.raw("<p>No manifest was written that the monitor read.</p>");
        return;
    }
    let mut written: Vec<_> = all.iter().collect();
    written.sort_by_key(|one| std::cmp::Reverse(one.severity));
    for one in written.into_iter().take(SHOWN) {
        html.raw("<article><h3>").severity(Some(one.severity)).raw(" ").code(&one.path).raw("</h3><dl>");
        facts(html, page, one);
        html.raw("</dl>");
        if !one.manifest.pods.is_empty() {
            html.table("Pods of a manifest", &["Pod", "Namespace", "Host", "Host paths", "Images"]);
            one.manifest.pods.iter().for_each(|one| pod(html, one));
            html.end_table();
        }
        html.raw("</article>");
    }
    html.more(all.len(), SHOWN, "manifests are");
}

fn facts(html: &mut Html, page: &Page<'_>, one: &Written) {
    let manifest = &one.manifest;
    let by = one.process.and_then(|number| page.collected.processes.get(number));
    let by = by.map(|process| format!("{}[{}]", process.name, process.pid));
    let input = page.inputs.get(one.input as usize);
    for (name, value) in [
        ("read at", Some(one.time.clone())),
        ("written by", by),
        ("attention", Some(joined(&manifest.attention)).filter(|list| !list.is_empty())),
        ("problem", manifest.problem.as_deref().map(shown)),
        ("leads to", manifest.link.as_deref().map(shown)),
        ("SHA-256", manifest.sha256.as_deref().map(shown)),
        ("left out", (manifest.omitted > 0).then(|| manifest.omitted.to_string())),
        ("recorded in", input.map(|input| format!("{}, line {}", input.name, one.line))),
    ] {
        if let Some(value) = value {
            html.raw("<dt>").raw(name).raw("</dt><dd>").code(&value).raw("</dd>");
        }
    }
}

fn pod(html: &mut Html, pod: &ManifestPod) {
    html.raw("<tr><th scope=row>").code(&shown(pod.name.as_deref().unwrap_or("?"))).raw("</th><td>");
    html.code(&shown(&pod.namespace));
    if !pod.namespace_valid {
        html.raw(" <b class='s critical'>never in the API</b>");
    }
    html.raw("</td><td>");
    for (is, name) in
        [(pod.privileged, "privileged "), (pod.host_pid, "hostPID "), (pod.host_network, "hostNetwork ")]
    {
        html.raw(if is { name } else { "" });
    }
    html.raw("</td>").cell(&joined(&pod.host_paths)).cell(&joined(&pod.images)).raw("</tr>");
}
