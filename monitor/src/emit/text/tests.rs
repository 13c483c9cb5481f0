use std::fs;
use std::path::Path;

use jiff::tz::{self, TimeZone};
use proptest::prelude::*;

use super::*;
use crate::event::samples;

fn text(event: &Event, colour: bool) -> String {
    looking(event, Look { colour, tree: false })
}

fn looking(event: &Event, look: Look) -> String {
    let mut out = Vec::new();
    write(&mut out, event, look, &TimeZone::fixed(tz::offset(2))).unwrap();
    String::from_utf8(out).unwrap()
}

/// `BYPASSD_UPDATE_FIXTURES=1` writes the file anew.
#[test]
fn events_read_as_they_did() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/events.txt");
    let all: String = samples::all().iter().map(|(_, event)| text(event, false)).collect();
    if std::env::var_os("BYPASSD_UPDATE_FIXTURES").is_some() {
        fs::write(&path, &all).unwrap();
    }
    assert_eq!(all, fs::read_to_string(&path).unwrap());
}

#[test]
fn the_time_is_the_readers() {
    let (_, event) = &samples::all()[0];
    // 22:15 UTC.
    assert!(text(event, false).starts_with("00:15:00  LOW"));
}

#[test]
fn only_the_severity_is_coloured() {
    let (_, event) = &samples::all()[0];
    let coloured = text(event, true);
    assert_eq!(coloured.matches('\u{1b}').count(), 2);
    assert_eq!(coloured.replace("\u{1b}[36m", "").replace("\u{1b}[0m", ""), text(event, false));
}

#[test]
fn escapes_are_not_escaped_again() {
    let event = samples::hostile(b"/a\x1b[2J\n\\");
    let lines = text(&event, false);
    assert!(lines.contains("/a\\u{1b}[2J\\n\\\\[4711] opened /a\\u{1b}[2J\\n\\\\\n"), "{lines}");
    assert!(lines.contains("why     /a\\u{1b}[2J\\n\\\\\n"), "{lines}");
}

#[test]
fn one_argument_does_not_look_like_two() {
    for (arg, shown) in
        [("a", "a"), ("", "''"), ("a b", "'a b'"), ("a' 'b", r"'a'\'' '\''b'"), ("a;b", "'a;b'")]
    {
        assert_eq!(quoted(arg), shown);
    }
}

#[test]
fn a_tree_shows_who_started_whom() {
    let (_, event) = &samples::all()[0];
    let text = looking(event, Look { colour: false, tree: true });
    let tree: Vec<_> = text.lines().skip_while(|line| !line.contains("from")).collect();
    assert_eq!(
        tree,
        [
            "                    from    /usr/lib/systemd/systemd[1]",
            "                            └─ /usr/sbin/sshd[3900]",
            "                               └─ /usr/bin/bash[4000]",
            "                                  └─ /usr/bin/cat[4711]",
        ]
    );
}

proptest! {
    /// Nothing an actor chooses adds a line or reaches the terminal as anything but visible text.
    #[test]
    fn nobody_can_write_on_the_terminal(bytes in hostile_bytes()) {
        let raw = String::from_utf8_lossy(&bytes).into_owned();
        let alert = samples::hostile(&bytes);
        let also = Event { message: raw.clone(), ..alert.clone() };
        let started = Lifecycle::Started(samples::started(&raw));
        let started = samples::context().lifecycle(started, Severity::Info, raw.clone());
        let mut health = samples::context().health(samples::loss());
        health.message = raw;
        let mut lines = String::new();
        let why = usize::from(alert.verdict.as_ref().is_some_and(|verdict| !verdict.detail.is_empty()));
        for (event, count) in [(alert, 5 + why), (also, 5), (started, 5), (health, 2)] {
            let text = text(&event, false);
            prop_assert_eq!(text.lines().count(), count, "{}", text);
            lines += &text;
        }
        let alert = samples::hostile(&bytes);
        let tree = looking(&alert, Look { colour: false, tree: true });
        // Seven above it and itself, where there was one line.
        prop_assert_eq!(tree.lines().count(), text(&alert, false).lines().count() + 7, "{}", tree);
        lines += &tree;
        let odd: Vec<_> = lines.chars().filter(|char| char.is_control() && *char != '\n' || is_odd(*char)).collect();
        prop_assert!(odd.is_empty(), "{odd:?}");
    }
}

fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    let payloads = [
        "\u{1b}[31m",
        "\r",
        "\n",
        "\t",
        "\u{9b}2J",
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\u{7f}",
        "\u{2028}",
        "'",
    ];
    let piece = prop_oneof![
        proptest::sample::select(payloads.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..8),
        ".{0,4}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

fn is_odd(char: char) -> bool {
    matches!(char, '\u{85}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
