//! Answers that were found a moment ago.

use std::num::NonZeroUsize;
use std::rc::Rc;
use std::time::{Duration, Instant};

use lru::LruCache;

/// More containers than a node runs.
const ENTRIES_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// People give an id to one container after the other.
const FOUND: Duration = Duration::from_secs(60);

/// What is not there yet may be in a moment.
const NOTHING: Duration = Duration::from_secs(2);

/// By a container's id or a pod's.
#[derive(Debug)]
pub struct Cache<T> {
    entries: LruCache<String, (Instant, Option<Rc<T>>)>,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self { entries: LruCache::new(ENTRIES_MAX) }
    }
}

impl<T> Cache<T> {
    pub fn get(&mut self, key: &str, now: Instant, find: impl FnOnce() -> Option<T>) -> Option<Rc<T>> {
        if let Some((since, known)) = self.entries.get(key) {
            let life = if known.is_some() { FOUND } else { NOTHING };
            if now.saturating_duration_since(*since) < life {
                return known.clone();
            }
        }
        let found = find().map(Rc::new);
        self.entries.put(key.to_owned(), (now, found.clone()));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_lives_as_long_as_it_is_likely_to_hold() {
        let mut cache = Cache::default();
        let start = Instant::now();
        let mut get = |seconds, answer| {
            cache.get("a", start + Duration::from_secs(seconds), || answer).map(|found| *found)
        };
        assert_eq!(get(0, None), None);
        assert_eq!(get(1, Some(1)), None);
        assert_eq!(get(2, Some(2)), Some(2));
        assert_eq!(get(61, Some(3)), Some(2));
        assert_eq!(get(62, Some(4)), Some(4));
        assert_eq!(get(122, None), None);
    }

    #[test]
    fn it_is_bounded() {
        let mut cache = Cache::default();
        let now = Instant::now();
        for key in 0..5000 {
            cache.get(&key.to_string(), now, || Some(key));
        }
        assert_eq!(cache.entries.len(), ENTRIES_MAX.get());
    }
}
