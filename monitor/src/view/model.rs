//! The events that are kept, and which of them are shown.

use std::cell::Cell;
use std::collections::VecDeque;

use jiff::tz::TimeZone;

use super::row::Row;
use crate::model::Class;
use crate::report::record::{Kind, Record};

/// Older ones are forgotten, and counted.
const KEPT: usize = 4000;

/// While the user reads, so many more are kept, and then newer ones are forgotten.
const MORE: usize = 4000;

#[derive(Debug)]
pub struct Entry {
    pub record: Record,
    pub row: Row,
}

/// What is shown beneath the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    List,
    /// One event, from so many lines down.
    Detail(usize),
}

/// Whose events are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Door {
    #[default]
    All,
    Of(Class),
    /// The daemon's own words.
    Daemon,
}

impl Door {
    pub fn every() -> impl DoubleEndedIterator<Item = Self> {
        let classes = Class::ALL.into_iter().map(Self::Of);
        [Self::All].into_iter().chain(classes).chain([Self::Daemon])
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Of(class) => class.name(),
            Self::Daemon => "the daemon",
        }
    }

    fn has(self, row: &Row) -> bool {
        match self {
            Self::All => true,
            Self::Of(class) => row.class == Some(class),
            Self::Daemon => row.class.is_none(),
        }
    }
}

#[derive(Debug)]
pub struct Model {
    zone: TimeZone,
    entries: VecDeque<Entry>,
    /// The number of the first that is kept. Events are numbered as they come.
    first: u64,
    /// Violations by class, in order, those that are forgotten included.
    violations: [u64; Class::ALL.len()],
    pub door: Door,
    pub filter: String,
    /// The filter is being typed.
    pub typing: bool,
    /// Later ones are not shown for now.
    paused: Option<u64>,
    /// The event that is marked; the newest if none is.
    marked: Option<u64>,
    pub shown: Shown,
    /// How far down an event can be read, which is known when it was drawn.
    pub bottom: Cell<usize>,
    /// Events that came while there was no room.
    missed: u64,
    /// Lines that were no events.
    pub wrong: u64,
    /// The last reason for that.
    pub why_wrong: String,
    /// What the daemon said it lost.
    pub lost: u64,
    /// No more come, for this reason.
    pub ended: Option<String>,
    pub node: String,
    pub backend: String,
}

impl Model {
    pub fn new(zone: TimeZone) -> Self {
        Self {
            zone,
            entries: VecDeque::new(),
            first: 0,
            violations: [0; Class::ALL.len()],
            door: Door::All,
            filter: String::new(),
            typing: false,
            paused: None,
            marked: None,
            shown: Shown::List,
            bottom: Cell::new(0),
            missed: 0,
            wrong: 0,
            why_wrong: String::new(),
            lost: 0,
            ended: None,
            node: String::new(),
            backend: String::new(),
        }
    }

    pub fn add(&mut self, record: Record) {
        let row = Row::new(&record, &self.zone);
        if let (Some(class), true) = (row.class, row.is_violation) {
            let slot = Class::ALL.iter().position(|other| *other == class);
            if let Some(count) = slot.and_then(|slot| self.violations.get_mut(slot)) {
                *count = count.saturating_add(record.count.unwrap_or(1));
            }
        }
        if let (Kind::Health, Some(health)) = (record.kind, &record.health) {
            self.lost = health.lost.values().fold(self.lost, |lost, more| lost.saturating_add(*more));
        }
        if self.node.is_empty() {
            self.node = crate::event::text::escaped(&record.node.name);
            self.backend = record.agent.backend.clone().unwrap_or_default();
        }
        let is_read = self.is_paused() || matches!(self.shown, Shown::Detail(_));
        if is_read && self.entries.len() >= KEPT + MORE {
            self.missed += 1;
            return;
        }
        self.entries.push_back(Entry { record, row });
        while !is_read && self.entries.len() > KEPT {
            self.entries.pop_front();
            self.first += 1;
        }
    }

    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Events that were forgotten.
    pub const fn forgotten(&self) -> u64 {
        self.first + self.missed
    }

    /// The violations of a class.
    pub fn count(&self, door: Door) -> Option<u64> {
        match door {
            Door::All => Some(self.violations.iter().fold(0, |sum, count| sum.saturating_add(*count))),
            Door::Of(class) => {
                let slot = Class::ALL.iter().position(|other| *other == class)?;
                self.violations.get(slot).copied()
            }
            Door::Daemon => None,
        }
    }

    /// The events that are shown, oldest first, with their numbers.
    pub fn visible(&self) -> impl DoubleEndedIterator<Item = (u64, &Entry)> {
        let words: Vec<_> = self.filter.to_lowercase().split_whitespace().map(str::to_owned).collect();
        let until = self.paused.unwrap_or(u64::MAX);
        let (first, door) = (self.first, self.door);
        let numbered =
            self.entries.iter().enumerate().map(move |(index, entry)| (first + index as u64, entry));
        numbered.filter(move |(number, entry)| {
            let fits = |word: &String| entry.row.searched.contains(word);
            *number < until && door.has(&entry.row) && words.iter().all(fits)
        })
    }

    pub const fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// Events that came since it was paused.
    pub fn waiting(&self) -> u64 {
        self.paused.map_or(0, |since| (self.end() + self.missed).saturating_sub(since))
    }

    pub fn pause(&mut self) {
        self.paused = if self.is_paused() { None } else { Some(self.end()) };
    }

    /// The number of the marked event, if it is shown; else of the newest that is.
    pub fn mark(&self) -> Option<u64> {
        let marked = self.marked.filter(|marked| self.visible().any(|(number, _)| number == *marked));
        marked.or_else(|| self.visible().next_back().map(|(number, _)| number))
    }

    /// Whether the newest event is marked as it comes.
    pub const fn follows(&self) -> bool {
        self.marked.is_none()
    }

    pub fn marked(&self) -> Option<&Entry> {
        let index = self.mark()?.checked_sub(self.first)?;
        self.entries.get(usize::try_from(index).ok()?)
    }

    /// Marks another of those that are shown.
    pub fn step(&mut self, by: i64) {
        let numbers: Vec<_> = self.visible().map(|(number, _)| number).collect();
        let Some(last) = numbers.len().checked_sub(1) else { return };
        let marked = self.mark();
        let at = numbers.iter().position(|number| Some(*number) == marked).unwrap_or(last);
        let to = i64::try_from(at).unwrap_or(i64::MAX).saturating_add(by).max(0);
        let to = usize::try_from(to).unwrap_or(last).min(last);
        // From the newest on, new ones are followed again.
        self.marked = numbers.get(to).copied().filter(|_| to != last);
    }

    /// Marks the one that is marked for good, and no longer the newest.
    pub fn hold(&mut self) {
        self.marked = self.mark();
    }

    /// Shows another door.
    pub fn turn(&mut self, forward: bool) {
        let mut every: Vec<_> = Door::every().collect();
        if !forward {
            every.reverse();
        }
        let after = every.iter().skip_while(|door| **door != self.door).nth(1);
        self.door = after.or(every.first()).copied().unwrap_or_default();
        self.marked = None;
    }
}
