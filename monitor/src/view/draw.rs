//! The screen. Eighty columns and twenty-four lines are enough; with less there is less to see, and nothing breaks.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use super::detail::{Fact, facts};
use super::model::{Door, Entry, Model, Shown};
use crate::model::Severity;

/// The doors' column, with its counts.
const DOORS: u16 = 27;
/// A fact's name.
const NAMES: u16 = 11;

const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const REVERSED: Style = Style::new().add_modifier(Modifier::REVERSED);

pub fn draw(frame: &mut Frame<'_>, model: &Model) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    let body = Rect { y: area.y + 1, height: area.height.saturating_sub(2), ..area };
    head(buffer, Rect { height: area.height.min(1), ..area }, model);
    match (model.shown, model.marked()) {
        (Shown::Detail(from), Some(entry)) => model.bottom.set(detail(buffer, body, entry, from)),
        _ => {
            let doors = Rect { width: DOORS.min(area.width), ..body };
            let list = Rect { x: area.x + doors.width, width: area.width - doors.width, ..body };
            door_list(buffer, doors, model);
            events(buffer, list, model);
        }
    }
    if area.height > 1 {
        foot(buffer, Rect { y: area.bottom() - 1, height: 1, ..area }, model);
    }
}

/// Writes a line as far as it fits.
fn put(buffer: &mut Buffer, area: Rect, row: u16, column: u16, text: &str, style: Style) {
    if row < area.height && column < area.width {
        let width = usize::from(area.width - column);
        buffer.set_stringn(area.x + column, area.y + row, text, width, style);
    }
}

fn head(buffer: &mut Buffer, area: Rect, model: &Model) {
    buffer.set_style(area, REVERSED);
    let count = model.count(Door::All).unwrap_or_default();
    let mut text = format!(" bypassd  {count} violations");
    for (number, what) in
        [(model.lost, "lost"), (model.wrong, "lines are no events"), (model.forgotten(), "forgotten")]
    {
        if number > 0 {
            text += &format!("  {number} {what}");
        }
    }
    if model.is_paused() {
        text += &format!("  PAUSED, {} more", model.waiting());
    }
    if let Some(why) = &model.ended {
        text += &format!("  {why}");
    }
    // The last, because it can be long.
    if model.node.is_empty() {
        text += "  waiting for the first event";
    } else {
        text += &format!("  {} ({})", model.node, model.backend);
    }
    put(buffer, area, 0, 0, &text, REVERSED);
}

fn door_list(buffer: &mut Buffer, area: Rect, model: &Model) {
    for (row, door) in (0..).zip(Door::every()) {
        let is_shown = door == model.door;
        let count = model.count(door);
        let style = match count {
            Some(1..) => BOLD,
            _ => DIM,
        };
        let style = if is_shown { style.patch(REVERSED) } else { style };
        let count = count.map(|count| count.to_string()).unwrap_or_default();
        put(buffer, area, row, 0, &format!(" {:<19} {count:>5} ", door.name()), style);
    }
}

fn events(buffer: &mut Buffer, area: Rect, model: &Model) {
    let mark = model.mark();
    let rows = usize::from(area.height);
    // The marked one is in sight, the newest at the bottom.
    let after = model.visible().rev().take_while(|(number, _)| Some(*number) != mark).count();
    let below = if model.follows() { 0 } else { after.min(rows / 2) };
    let shown: Vec<_> = model.visible().rev().skip(after - below).take(rows).collect();
    if shown.is_empty() {
        let why = if model.filter.is_empty() { "nothing yet" } else { "nothing that has these words" };
        put(buffer, area, 0, 1, why, DIM);
    }
    for (row, (number, entry)) in (0..).zip(shown.into_iter().rev()) {
        let is_marked = Some(number) == mark;
        event(buffer, area, row, entry, if is_marked { REVERSED } else { Style::new() });
    }
}

fn event(buffer: &mut Buffer, area: Rect, row: u16, entry: &Entry, style: Style) {
    let line = &entry.row;
    if row < area.height {
        buffer.set_style(Rect { y: area.y + row, height: 1, ..area }, style);
    }
    put(buffer, area, row, 0, &line.time, style.patch(DIM));
    put(buffer, area, row, 9, line.severity.name(), style.patch(colour(line.severity)));
    const COLUMN: u16 = 18;
    let (head, what) = match line.class {
        Some(_) => (format!("{} {} ", line.action, line.who), line.what.as_str()),
        None => (String::new(), line.what.as_str()),
    };
    let room = usize::from(area.width.saturating_sub(COLUMN)).saturating_sub(head.chars().count());
    let what = if line.class.is_some() { end(what, room) } else { what.to_owned() };
    put(buffer, area, row, COLUMN, &(head + &what), style);
}

/// As much of a long path as fits, from its end, which tells more; all of it where nothing fits.
fn end(path: &str, room: usize) -> String {
    const LEAST: usize = 8;
    let length = path.chars().count();
    if length <= room || room < LEAST {
        return path.to_owned();
    }
    let end: String = path.chars().skip(length - (room - 1)).collect();
    format!("…{end}")
}

fn colour(severity: Severity) -> Style {
    match severity {
        Severity::Info => DIM,
        Severity::Low => Style::new().fg(Color::Cyan),
        Severity::Medium => Style::new().fg(Color::Yellow),
        Severity::High => Style::new().fg(Color::Red),
        Severity::Critical => BOLD.fg(Color::Red),
    }
}

/// Returns how far down it can be read.
fn detail(buffer: &mut Buffer, area: Rect, entry: &Entry, from: usize) -> usize {
    let width = usize::from(area.width.saturating_sub(NAMES)).max(1);
    let lines: Vec<Fact> = facts(entry).into_iter().flat_map(|fact| folded(fact, width)).collect();
    // The end stays in sight.
    let bottom = lines.len().saturating_sub(usize::from(area.height));
    let from = from.min(bottom);
    for (row, (name, text)) in (0..area.height).zip(lines.into_iter().skip(from)) {
        put(buffer, area, row, 1, name, DIM);
        put(buffer, area, row, NAMES + 1, &text, Style::new());
    }
    bottom
}

/// A long line as several.
fn folded((name, text): Fact, width: usize) -> Vec<Fact> {
    let chars: Vec<char> = text.chars().collect();
    if chars.is_empty() {
        return vec![(name, text)];
    }
    let parts = chars.chunks(width.saturating_sub(1).max(1)).map(|part| part.iter().collect());
    parts.enumerate().map(|(index, part)| (if index == 0 { name } else { "" }, part)).collect()
}

fn foot(buffer: &mut Buffer, area: Rect, model: &Model) {
    let text = if model.typing {
        format!("/{}█", model.filter)
    } else if matches!(model.shown, Shown::Detail(_)) {
        " ↑↓ scroll  Esc back".to_owned()
    } else if model.filter.is_empty() {
        " ↑↓ mark  Enter details  Tab door  / filter  p pause  G newest  q quit".to_owned()
    } else {
        format!(" with \"{}\"  / change  Esc all  Enter details  Tab door  p pause  q quit", model.filter)
    };
    put(buffer, area, 0, 0, &text, if model.typing { BOLD } else { DIM });
}
