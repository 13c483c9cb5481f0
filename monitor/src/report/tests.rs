use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Report;
use crate::replay::merge;

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/events").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn page(events: &[Value]) -> String {
    let lines: Vec<_> = events.iter().map(|event| format!("{event}\n")).collect();
    of_bytes(lines.concat().as_bytes())
}

fn of_bytes(bytes: &[u8]) -> String {
    let mut report = Report::default();
    report.read("events.ndjson", &mut &bytes[..], |_| ()).unwrap();
    let mut out = Vec::new();
    report.write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn all() -> Vec<Value> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/events");
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names.iter().map(|name| fixture(name)).collect()
}

fn between<'a>(page: &'a str, before: &str, after: &str) -> &'a str {
    page.split_once(before).unwrap().1.split_once(after).unwrap().0
}

fn data(page: &str) -> Value {
    serde_json::from_str(between(page, r#"id="data">"#, "</script>")).unwrap()
}

/// What the page is made of, without what the script and the style hold.
fn tags(page: &str) -> BTreeSet<&str> {
    page.split('<').skip(1).filter_map(|tag| tag.split([' ', '>', '\n']).next()).collect()
}

#[test]
fn the_policy_knows_the_script_and_the_style() {
    let page = page(&all());
    let policy = between(&page, r#"Content-Security-Policy" content=""#, "\"");
    assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
    for (name, before, after) in [("script", "<script>", "</script>"), ("style", "<style>", "</style>")] {
        let hash = STANDARD.encode(Sha256::digest(between(&page, before, after)));
        assert!(policy.contains(&format!("{name}-src 'sha256-{hash}'")), "{policy}");
    }
    assert!(!page.contains("{{") && !page.contains("http://") && !page.contains("https://"));
    assert!(!page.contains(" style=") && !page.contains(" onclick="));
}

#[test]
fn everything_is_readable_without_the_script() {
    let page = page(&all());
    let (page, _) = page.split_once("<script").unwrap();
    for words in [
        "/usr/bin/cat",
        "<h2>Doors</h2>",
        "static_pod_manifest.write",
        "opens through io_uring",
        "unix connections: no such file",
        "lost_ring_full",
        "callers without a name are taken for system:anonymous",
        "privileged_on_host",
        "never in the API",
        "events.ndjson",
        "/usr/sbin/sshd",
    ] {
        assert!(page.contains(words), "no {words}");
    }
}

#[test]
fn strings_of_others_are_inert_everywhere() {
    fn poison(value: &mut Value, text: &str) {
        // What these are is checked, so they keep their values.
        const KNOWN: [&str; 10] =
            ["schema", "kind", "time", "severity", "class", "result", "state", "type", "attention", "run_id"];
        match value {
            Value::String(own) => *own = text.to_owned(),
            Value::Array(list) => list.iter_mut().for_each(|one| poison(one, text)),
            Value::Object(object) => {
                let own = object.iter_mut().filter(|(key, _)| !KNOWN.contains(&key.as_str()));
                own.for_each(|(_, one)| poison(one, text));
            }
            _ => {}
        }
    }
    let clean = page(&all());
    let hostile =
        "</script></td><img src=x onerror=alert(1)>\u{202e}\u{2066}\u{1b}[31m\u{2028}<!--\"'&{{x}}\\";
    let mut events = all();
    events.iter_mut().for_each(|event| poison(event, hostile));
    let page = page(&events);
    assert_eq!(tags(&page), tags(&clean));
    assert!(!page.contains(['\u{202e}', '\u{2066}', '\u{1b}', '\u{2028}']));
    assert!(page.contains("\\u{202e}\\u{2066}\\u{1b}[31m\\u{2028}"));
    let data = data(&page);
    let strings = data["strings"].as_array().unwrap();
    assert!(strings.iter().any(|text| text.as_str().is_some_and(|text| text.contains("</script></td>"))));
}

#[test]
fn numbers_that_are_missing_are_told() {
    let heartbeat = fixture("health.heartbeat.json");
    let with = |seq: u64| {
        let mut event = heartbeat.clone();
        merge(&mut event, &json!({"seq": seq}));
        event
    };
    let page = page(&[with(1), with(2), with(9), with(4), with(4)]);
    let gaps = between(&page, "Gaps by run", "</table>");
    assert!(gaps.contains("<td>3, 5–8</td>") && gaps.contains("<td class=n>5</td>"), "{gaps}");
    assert!(page.contains("1 events with the number of one that was read already"));
}

#[test]
fn repeats_count_and_what_a_manifest_adds_does_not() {
    let (mut write, mut again) =
        (fixture("static_pod_manifest.write.json"), fixture("static_pod_manifest.write.json"));
    merge(&mut write, &json!({"seq": 1}));
    merge(&mut again, &json!({"seq": 2, "count": 41}));
    let page = page(&[write, again, fixture("manifest.json")]);
    assert!(page.contains("<strong>42</strong> violations"));
    assert_eq!(data(&page)["at"], json!([0, 0]));
    assert!(page.contains("<strong>1</strong> manifests written"));
}

#[test]
fn of_many_events_the_gravest_are_in_the_page_and_all_in_its_data() {
    let event = |seq: u64| {
        let mut event = fixture("credential.open.json");
        let grave = if seq == 700 { "critical" } else { "low" };
        merge(&mut event, &json!({"seq": seq, "severity": grave, "target": {"path": format!("/key-{seq}")}}));
        event
    };
    let page = page(&(1..=1000).map(event).collect::<Vec<_>>());
    let rows = between(&page, "<tbody id=rows>", "</tbody>");
    assert_eq!(rows.matches("<tr>").count(), 200);
    assert!(rows.contains("/key-700<"));
    assert_eq!(data(&page)["at"].as_array().unwrap().len(), 1000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_make_a_page(bytes in proptest::collection::vec(any::<u8>(), 0..400), cut in any::<prop::sample::Index>()) {
        let mut text: Vec<u8> = all().iter().flat_map(|event| format!("{event}\n").into_bytes()).collect();
        let place = cut.index(text.len());
        let end = text.len().min(place + bytes.len());
        text.splice(place..end, bytes);
        let page = of_bytes(&text);
        prop_assert!(data(&page).is_object());
        prop_assert!(page.trim_end().ends_with("</html>"));
    }
}
