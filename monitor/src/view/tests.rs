use std::io::Cursor;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};

use super::*;
use crate::report::record::Record;

fn event(number: u64, class: &str, path: &str) -> Value {
    json!({
        "schema": "1.0", "kind": "alert", "seq": number, "time": format!("2026-11-27T10:00:{:02}.5Z", number % 60),
        "severity": "high", "action": "open", "message": format!("/usr/bin/cat[7] opened {path}: nobody expects it"),
        "node": {"name": "node1", "kernel": "6.12"}, "agent": {"version": "0.1.0", "backend": "fentry"},
        "rule": {"id": format!("{class}.read"), "name": "Read"},
        "verdict": {"result": "violation", "detail": "nobody expects it"},
        "target": {"class": class, "path": path},
        "process": {
            "pid": 7, "comm": "cat", "exe": "/usr/bin/cat", "args": ["cat", path], "uid": 0,
            "parent": {"pid": 6, "comm": "bash", "exe": "/usr/bin/bash"},
            "ancestors": [{"pid": 1, "comm": "systemd", "exe": "/usr/lib/systemd/systemd"}],
        },
    })
}

fn record(event: &Value) -> Record {
    Record::parse(event.to_string().as_bytes()).unwrap()
}

fn model(count: u64) -> Model {
    let mut model = Model::new(TimeZone::UTC);
    for number in 0..count {
        let (class, path) = match number % 2 {
            0 => ("credential", format!("/etc/kubernetes/pki/{number}.key")),
            _ => ("static_pod_manifest", format!("/etc/kubernetes/manifests/{number}.yaml")),
        };
        model.add(record(&event(number, class, &path)));
    }
    model
}

fn screen(model: &Model, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model)).unwrap();
    let buffer = terminal.backend().buffer().clone();
    let line = |row| (0..width).map(|column| buffer[(column, row)].symbol()).collect::<String>();
    (0..height).map(|row| line(row).trim_end().to_owned() + "\n").collect()
}

fn press(model: &mut Model, codes: &[KeyCode]) -> Done {
    codes.iter().fold(Done::No, |_, code| key(model, KeyEvent::new(*code, KeyModifiers::NONE)))
}

fn word(text: &str) -> Vec<KeyCode> {
    text.chars().map(KeyCode::Char).collect()
}

#[test]
fn eighty_columns_show_doors_and_events() {
    let text = screen(&model(3), 80, 24);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 24);
    assert_eq!(lines[0], " bypassd  3 violations  node1 (fentry)");
    assert!(lines[1].starts_with(" all                     3"), "{text}");
    assert!(lines[4].starts_with(" credential              2"), "{text}");
    assert!(lines[3].ends_with("10:00:02 high     open cat[7] …c/kubernetes/pki/2.key"), "{text}");
    assert!(lines[23].contains("q quit"), "{text}");
}

#[test]
fn a_door_and_words_choose_what_is_shown() {
    let mut model = model(6);
    press(&mut model, &[KeyCode::Tab]);
    let text = screen(&model, 120, 24);
    assert!(text.contains("manifests/5.yaml") && !text.contains("pki/4.key"), "{text}");
    press(&mut model, &[KeyCode::BackTab, KeyCode::Char('/')]);
    press(&mut model, &word("KEY 2"));
    assert!(screen(&model, 120, 24).ends_with("/KEY 2█\n"));
    press(&mut model, &[KeyCode::Enter]);
    let text = screen(&model, 120, 24);
    assert!(
        text.contains("pki/2.key") && !text.contains("pki/4.key") && text.contains("with \"KEY 2\""),
        "{text}"
    );
    press(&mut model, &[KeyCode::Char('/'), KeyCode::Char('x'), KeyCode::Enter]);
    assert!(screen(&model, 120, 24).contains("nothing that has these words"));
    press(&mut model, &[KeyCode::Esc]);
    assert!(screen(&model, 120, 24).contains("pki/4.key"));
}

#[test]
fn while_it_is_paused_nothing_moves_and_nothing_is_lost() {
    let mut model = model(2);
    press(&mut model, &[KeyCode::Char('p')]);
    model.add(record(&event(9, "credential", "/new.key")));
    let text = screen(&model, 100, 24);
    assert!(
        text.contains("PAUSED, 1 more") && text.contains("3 violations") && !text.contains("/new.key"),
        "{text}"
    );
    press(&mut model, &[KeyCode::Char('p')]);
    assert!(screen(&model, 100, 24).contains("/new.key"));
}

#[test]
fn an_event_is_shown_with_those_who_started_it() {
    let mut model = model(4);
    press(&mut model, &[KeyCode::Up, KeyCode::Enter]);
    // Another one comes, and this one stays.
    model.add(record(&event(9, "credential", "/new.key")));
    let text = screen(&model, 80, 24);
    for line in [
        "what       /usr/bin/cat[7] opened /etc/kubernetes/pki/2.key: nobody expects it",
        "args       cat /etc/kubernetes/pki/2.key",
        "started by /usr/lib/systemd/systemd[1]",
        "└ /usr/bin/bash[6]",
        "  └ /usr/bin/cat[7]",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    screen(&model, 80, 8);
    press(&mut model, &[KeyCode::PageDown, KeyCode::PageDown]);
    assert!(!screen(&model, 80, 8).contains("what "));
    assert_eq!(press(&mut model, &[KeyCode::Char('q')]), Done::No);
    assert_eq!(press(&mut model, &[KeyCode::Char('q')]), Done::Yes);
}

#[test]
fn what_attackers_write_moves_nothing() {
    let mut model = Model::new(TimeZone::UTC);
    model.add(record(&event(1, "credential", "/\u{1b}[2J\u{202e}\n\u{7}x.key")));
    for codes in [&[][..], &[KeyCode::Enter]] {
        press(&mut model, codes);
        let text = screen(&model, 200, 24);
        assert!(text.contains("\\u{1b}[2J\\u{202e}\\n\\u{7}x.key"), "{text}");
        assert!(!text.chars().any(|char| char != '\n' && char.is_control()), "{text:?}");
    }
}

#[test]
fn the_oldest_are_forgotten_and_counted() {
    let mut model = model(4100);
    assert_eq!(model.forgotten(), 100);
    assert!(screen(&model, 80, 24).starts_with(" bypassd  4100 violations  100 forgotten  node1 (fentry)"));
    press(&mut model, &[KeyCode::Home]);
    assert!(screen(&model, 120, 24).contains("pki/100.key"));
    press(&mut model, &[KeyCode::End]);
    assert!(model.follows());
}

#[test]
fn lines_are_told_apart() {
    let long = "x".repeat(2 << 20);
    let text =
        format!("{}\n\nno event\n{long}\n{}", event(1, "credential", "/a"), event(2, "credential", "/b"));
    let mut lines = feed(Box::new(Cursor::new(text)));
    let mut told = Vec::new();
    while let Some(line) = lines.blocking_recv() {
        told.push(match line {
            Line::Event(record) => record.seq.to_string(),
            Line::Wrong(why) => why.split(" 1 MiB").next().unwrap_or_default().chars().take(14).collect(),
            Line::End => "end".to_owned(),
        });
    }
    assert_eq!(told, ["1", "is no event: e", "is longer than", "2", "end"]);
}

proptest! {
    #[test]
    fn any_keys_on_any_screen_draw_something(keys in "[a-zA-Z/ \u{8}]{0,40}", width in 0_u16..200, height in 0_u16..60) {
        let mut model = model(30);
        for char in keys.chars() {
            let code = match char {
                'U' => KeyCode::Up,
                'D' => KeyCode::PageDown,
                'E' => KeyCode::Enter,
                'X' => KeyCode::Esc,
                '\u{8}' => KeyCode::Backspace,
                'T' => KeyCode::Tab,
                char => KeyCode::Char(char),
            };
            press(&mut model, &[code]);
        }
        screen(&model, width, height);
    }
}

#[test]
fn a_flood_does_not_take_away_what_is_read() {
    let mut model = model(10);
    press(&mut model, &[KeyCode::Home, KeyCode::Enter]);
    for number in 0..9000 {
        model.add(record(&event(number, "credential", "/flood")));
    }
    assert!(screen(&model, 80, 24).contains("pki/0.key"));
    assert_eq!(model.forgotten(), 1010);
    press(&mut model, &[KeyCode::Esc]);
    model.add(record(&event(1, "credential", "/last")));
    assert_eq!(model.forgotten(), 1010 + 4001);
    assert!(screen(&model, 80, 24).starts_with(" bypassd  9011 violations  5011 forgotten"));
}

#[test]
fn the_end_of_an_event_is_one_key_from_the_line_above() {
    let mut model = model(2);
    press(&mut model, &[KeyCode::Enter]);
    screen(&model, 80, 8);
    press(&mut model, &[KeyCode::End, KeyCode::Up]);
    let above = screen(&model, 80, 8);
    press(&mut model, &[KeyCode::Down]);
    assert_ne!(screen(&model, 80, 8), above);
}

#[test]
fn what_is_expected_is_no_violation() {
    let mut model = Model::new(TimeZone::UTC);
    let mut expected = event(1, "credential", "/a");
    expected["kind"] = json!("snapshot");
    expected["verdict"]["result"] = json!("allowed");
    model.add(record(&expected));
    assert!(screen(&model, 80, 24).starts_with(" bypassd  0 violations"));
}
