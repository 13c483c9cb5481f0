//! The runs that events are of, and which of their numbers are there.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// Numbers as ranges without a gap, by the first; each with the last.
#[derive(Debug, Default)]
pub struct Numbers(BTreeMap<u64, u64>);

impl Numbers {
    /// Says whether it is new.
    pub fn add(&mut self, number: u64) -> bool {
        let before = self.0.range(..=number).next_back().map(|(first, last)| (*first, *last));
        if before.is_some_and(|(_, last)| last >= number) {
            return false;
        }
        let first = before.filter(|(_, last)| last.checked_add(1) == Some(number)).map_or(number, |of| of.0);
        let after = number.checked_add(1).and_then(|next| self.0.remove(&next));
        self.0.insert(first, after.unwrap_or(number));
        true
    }

    /// What is missing between 1 and the last: the first and the last of each.
    pub fn gaps(&self) -> impl Iterator<Item = (u64, u64)> {
        let ends = std::iter::once(0).chain(self.0.values().copied());
        let starts = self.0.keys().copied();
        ends.zip(starts)
            .map(|(end, start)| (end.saturating_add(1), start.saturating_sub(1)))
            .filter(|(first, last)| first <= last)
    }
}

#[derive(Debug)]
pub struct Run {
    pub id: String,
    pub node: String,
    pub kernel: String,
    pub version: String,
    pub backend: String,
    pub config_sha256: String,
    pub first: Timestamp,
    pub last: Timestamp,
    pub events: u64,
    pub numbers: Numbers,
    /// It ended in order, and the record has that.
    pub stopped: bool,
    /// It checked settings, and did not watch.
    pub is_posture: bool,
}

/// How many events of a run are not there.
pub fn missing(numbers: &Numbers) -> u64 {
    numbers.gaps().fold(0, |sum, (first, last)| sum.saturating_add((last - first).saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers(list: &[u64]) -> Numbers {
        let mut numbers = Numbers::default();
        list.iter().for_each(|number| {
            numbers.add(*number);
        });
        numbers
    }

    #[test]
    fn gaps_are_found_in_any_order() {
        for (list, gaps) in [
            (&[][..], vec![]),
            (&[1, 2, 3], vec![]),
            (&[3, 1, 2], vec![]),
            (&[1, 3, 6], vec![(2, 2), (4, 5)]),
            (&[6, 3, 1], vec![(2, 2), (4, 5)]),
            (&[4, 5], vec![(1, 3)]),
            (&[u64::MAX, 1], vec![(2, u64::MAX - 1)]),
        ] {
            assert_eq!(numbers(list).gaps().collect::<Vec<_>>(), gaps, "{list:?}");
        }
        assert_eq!(missing(&numbers(&[1, 3, 6])), 3);
    }

    #[test]
    fn what_comes_twice_is_said() {
        let mut numbers = numbers(&[1, 2, 5]);
        assert!(!numbers.add(2) && !numbers.add(5) && numbers.add(4) && !numbers.add(4));
        assert_eq!(numbers.0, BTreeMap::from([(1, 2), (4, 5)]));
    }

    proptest! {
        #[test]
        fn as_a_set_has_it(list in proptest::collection::vec(1..60u64, 0..60)) {
            let set: std::collections::BTreeSet<_> = list.iter().copied().collect();
            let last = set.last().copied().unwrap_or_default();
            let absent: Vec<_> = (1..=last).filter(|number| !set.contains(number)).collect();
            let gaps: Vec<_> = numbers(&list).gaps().flat_map(|(first, last)| first..=last).collect();
            prop_assert_eq!(gaps, absent);
        }
    }
}
