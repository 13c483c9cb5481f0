//! How often something was seen, when, and one time of it as an example.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::event::text::escaped;
use crate::replay::Recorded;

/// Pods that are named in a comment.
const PODS_MAX: usize = 3;

/// Characters of a comment that others choose.
const SHORT: usize = 160;

/// What is told of accesses in a comment. The order in which they come does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub count: u64,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    /// What was done, the first time.
    pub example: Option<(Option<Timestamp>, String)>,
    /// Namespace and name.
    pub pods: BTreeSet<String>,
    pub more_pods: bool,
}

impl Seen {
    pub(super) fn of(recorded: &Recorded) -> Self {
        let time = |text: &str| text.parse::<Timestamp>().ok();
        let last = time(&recorded.time);
        let first = recorded.first_time.as_deref().and_then(time).or(last);
        let done = format!("{} {}", recorded.action.name(), short(&escaped(&recorded.target.name())));
        let pod =
            recorded.process.pod.as_ref().and_then(|pod| Some((pod.namespace.as_ref()?, pod.name.as_ref()?)));
        let pod = pod.map(|(namespace, name)| short(&escaped(&format!("{namespace}/{name}"))));
        Self {
            count: recorded.count.unwrap_or(1).max(1),
            first: first.min(last).or(first),
            last: last.max(first),
            example: Some((first, done)),
            pods: pod.into_iter().collect(),
            more_pods: false,
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        let Self { count, first, last, example, pods, more_pods } = other;
        self.count = self.count.saturating_add(count);
        self.first = earlier(self.first, first, Ord::min);
        self.last = earlier(self.last, last, Ord::max);
        self.example = earlier(self.example.take(), example, Ord::min);
        self.pods.extend(pods);
        self.more_pods |= more_pods;
        while self.pods.len() > PODS_MAX {
            self.pods.pop_last();
            self.more_pods = true;
        }
    }

    /// `12 times, 2026-11-24T14:45:12Z to 2026-11-24T15:00:01Z, first`
    pub(super) fn times(&self) -> String {
        let mut text = if self.count == 1 { "once".to_owned() } else { format!("{} times", self.count) };
        match (self.first, self.last) {
            (Some(first), Some(last)) if second(first) != second(last) => {
                text += &format!(", {} to {}", second(first), second(last));
            }
            (Some(time), _) | (None, Some(time)) => text += &format!(", {}", second(time)),
            (None, None) => {}
        }
        text += if self.count == 1 { "" } else { ", first" };
        text
    }

    /// `open /etc/kubernetes/pki/ca.key`
    pub(super) fn example(&self) -> &str {
        self.example.as_ref().map_or("", |(_, done)| done)
    }
}

fn second(time: Timestamp) -> String {
    let whole = Timestamp::from_second(time.as_second()).unwrap_or(time);
    whole.to_string()
}

/// Of two that may be known.
fn earlier<T>(one: Option<T>, other: Option<T>, of: impl Fn(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(of(one, other)),
        (one, other) => one.or(other),
    }
}

/// As it can stand in a comment: in one line, of a length that people read, with nothing that YAML does not take.
pub(super) fn short(text: &str) -> String {
    let mut short = String::new();
    for char in text.chars().take(SHORT) {
        if char.is_alphanumeric() || char.is_ascii_graphic() || char == ' ' {
            short.push(char);
        } else {
            short.push_str(&char.escape_unicode().to_string());
        }
    }
    if text.chars().nth(SHORT).is_some() {
        short.push('…');
    }
    short
}
