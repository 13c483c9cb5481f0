//! No more alerts of one detection a minute than were asked for. Those that are left out are counted, and the last of them is told with
//! the count: nobody is to read a thousand lines, and nobody is to miss that there were as many.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::event::Event;

const WINDOW: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Limits {
    /// Without it all are told.
    most: Option<u32>,
    windows: BTreeMap<&'static str, Window>,
    /// Left out since the start, by detection.
    pub(super) left_out: BTreeMap<&'static str, u64>,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    told: u32,
    left_out: Option<LeftOut>,
}

/// Alerts of one detection.
#[derive(Debug)]
pub(super) struct LeftOut {
    pub last: Box<Event>,
    pub count: u64,
    /// Nanoseconds since boot.
    pub first_at: u64,
    pub last_at: u64,
}

impl Limits {
    pub(super) fn new(most: Option<u32>) -> Self {
        Self { most, ..Self::default() }
    }

    /// Whether the alert is to be left out; then it is kept until its window is over.
    pub(super) fn leave_out(&mut self, event: &Event, at: u64, now: Instant) -> bool {
        let (Some(most), Some(rule)) = (self.most, event.rule) else { return false };
        let new = || Window { began: now, told: 0, left_out: None };
        let window = self.windows.entry(rule.id).or_insert_with(new);
        if window.told < most {
            window.told += 1;
            return false;
        }
        *self.left_out.entry(rule.id).or_default() += 1;
        let last = Box::new(event.clone());
        window.left_out = Some(match window.left_out.take() {
            Some(before) => LeftOut { last, count: before.count + 1, last_at: at, ..before },
            None => LeftOut { last, count: 1, first_at: at, last_at: at },
        });
        true
    }

    /// What was left out in windows that are over, or in all.
    pub(super) fn due(&mut self, now: Instant, all: bool) -> Vec<LeftOut> {
        let over = |window: &mut Window| all || now.duration_since(window.began) >= WINDOW;
        self.windows
            .extract_if(.., |_, window| over(window))
            .filter_map(|(_, window)| window.left_out)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::samples;

    #[test]
    fn what_is_left_out_is_told_with_its_count() {
        let event =
            samples::all().into_iter().find_map(|(_, event)| event.rule.is_some().then_some(event)).unwrap();
        let mut limits = Limits::new(Some(2));
        let now = Instant::now();
        let left_out = [1, 2, 3, 4].map(|at| limits.leave_out(&event, at, now));
        assert_eq!(left_out, [false, false, true, true]);
        assert!(limits.due(now, false).is_empty(), "the minute is not over");
        let due = limits.due(now + WINDOW, false);
        assert_eq!(
            due.iter().map(|due| (due.count, due.first_at, due.last_at)).collect::<Vec<_>>(),
            [(2, 3, 4)]
        );
        assert!(!limits.leave_out(&event, 5, now + WINDOW), "another minute");
        assert!(limits.due(now, true).is_empty(), "nothing was left out in it");
        assert_eq!(limits.left_out.values().sum::<u64>(), 2);
    }

    #[test]
    fn without_a_limit_all_are_told() {
        let event = samples::all().remove(0).1;
        let mut limits = Limits::default();
        assert!((0..1000).all(|at| !limits.leave_out(&event, at, Instant::now())));
    }
}
