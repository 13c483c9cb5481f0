//! What keys do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::{Model, Shown};

/// Whether the user wants to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    No,
    Yes,
}

/// More than there is.
const FAR: i64 = i64::MAX / 2;
const PAGE: i64 = 10;
/// What nobody types, and a screen does not show.
const FILTER_MAX: usize = 60;

pub fn key(model: &mut Model, key: KeyEvent) -> Done {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return if key.code == KeyCode::Char('c') { Done::Yes } else { Done::No };
    }
    if model.typing {
        type_filter(model, key.code);
        return Done::No;
    }
    match (key.code, model.shown) {
        (KeyCode::Char('q'), Shown::List) => return Done::Yes,
        (KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q') | KeyCode::Backspace, Shown::Detail(_)) => {
            model.shown = Shown::List;
        }
        (KeyCode::Enter, Shown::List) if model.marked().is_some() => {
            // It stays the one, whatever comes.
            model.hold();
            model.shown = Shown::Detail(0);
        }
        (KeyCode::Esc, Shown::List) => model.filter.clear(),
        (KeyCode::Char('/'), Shown::List) => model.typing = true,
        (KeyCode::Char('p' | ' '), _) => model.pause(),
        (KeyCode::Tab | KeyCode::Right | KeyCode::Char('l'), Shown::List) => model.turn(true),
        (KeyCode::BackTab | KeyCode::Left | KeyCode::Char('h'), Shown::List) => model.turn(false),
        (code, Shown::List) => model.step(rows(code)),
        (code, Shown::Detail(from)) => {
            let from = i64::try_from(from).unwrap_or(0).saturating_add(rows(code)).max(0);
            let from = usize::try_from(from).unwrap_or(usize::MAX);
            model.shown = Shown::Detail(from.min(model.bottom.get()));
        }
    }
    Done::No
}

fn rows(code: KeyCode) -> i64 {
    match code {
        KeyCode::Up | KeyCode::Char('k') => -1,
        KeyCode::Down | KeyCode::Char('j') => 1,
        KeyCode::PageUp => -PAGE,
        KeyCode::PageDown => PAGE,
        KeyCode::Home | KeyCode::Char('g') => -FAR,
        KeyCode::End | KeyCode::Char('G') => FAR,
        _ => 0,
    }
}

fn type_filter(model: &mut Model, code: KeyCode) {
    match code {
        KeyCode::Enter => model.typing = false,
        KeyCode::Esc => {
            model.typing = false;
            model.filter.clear();
        }
        KeyCode::Backspace => {
            model.filter.pop();
        }
        KeyCode::Char(char) if !char.is_control() && model.filter.len() < FILTER_MAX => {
            model.filter.push(char);
        }
        _ => {}
    }
}
