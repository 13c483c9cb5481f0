mod make;

use monitor::event::{Event, LINE_MAX, line};
use monitor::fuzzing::{shaped, text};
use serde_json::Value;

/// An event with any text wherever someone can choose one: as a line it is JSON that no log cuts, for people it is harmless.
pub fn event(data: &[u8]) {
    let Ok(mut event) = make::event(data) else { return };
    check_text(&event);
    for line in shaped(&mut event).expect("an event that can be written") {
        check_line(&line);
    }
    check_line(&line(&mut event).expect("an event that can be written"));
}

fn check_line(line: &[u8]) {
    assert!(line.len() <= LINE_MAX, "{} bytes", line.len());
    assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1), "not one line");
    let value: Value = serde_json::from_slice(line).expect("JSON");
    assert!(value.is_object());
}

fn check_text(event: &Event) {
    let text = text(event).expect("an event that can be written");
    let text = std::str::from_utf8(&text).expect("UTF-8");
    let harmful = |char: char| char.is_control() && char != '\n';
    assert!(!text.contains(harmful), "{text:?}");
}
