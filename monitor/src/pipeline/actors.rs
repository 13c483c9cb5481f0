//! One description of a process for all of its events, and of those above it for all that they started: events that wait to be written, or
//! are kept to be repeated, would have thousands of each in a flood.

use std::num::NonZero;
use std::sync::Arc;

use lru::LruCache;

use crate::event::{Event, Process, Relative};

/// So many threads are remembered.
const THREADS: NonZero<usize> = NonZero::new(64).unwrap();

/// So many processes above them.
const ABOVE: NonZero<usize> = NonZero::new(256).unwrap();

pub(super) struct Actors {
    threads: LruCache<(u32, u32), Arc<Process>>,
    above: LruCache<u32, Arc<Relative>>,
}

impl Default for Actors {
    fn default() -> Self {
        Self { threads: LruCache::new(THREADS), above: LruCache::new(ABOVE) }
    }
}

impl Actors {
    /// Lets the event have the description that an earlier one has, if nothing in it differs.
    pub(super) fn share(&mut self, event: &mut Event) {
        let Some(process) = &mut event.process else { return };
        let thread = (process.pid, process.tid);
        if let Some(known) = self.threads.get(&thread).filter(|known| *known == process) {
            *process = Arc::clone(known);
            return;
        }
        let new = Arc::make_mut(process);
        for relative in new.parent.iter_mut().chain(&mut new.ancestors) {
            match self.above.get(&relative.pid).filter(|known| *known == relative) {
                Some(known) => *relative = Arc::clone(known),
                None => drop(self.above.put(relative.pid, Arc::clone(relative))),
            }
        }
        self.threads.put(thread, Arc::clone(process));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::samples;

    #[test]
    fn only_what_is_the_same_is_shared() {
        let (mut actors, mut first, mut again, mut other) =
            (Actors::default(), samples::hostile(b"/a"), samples::hostile(b"/a"), samples::hostile(b"/a"));
        Arc::make_mut(other.process.as_mut().unwrap()).euid += 1;
        let different = other.clone();
        for event in [&mut first, &mut again, &mut other] {
            actors.share(event);
        }
        let shares =
            |a: &Event, b: &Event| Arc::ptr_eq(a.process.as_ref().unwrap(), b.process.as_ref().unwrap());
        assert!(shares(&first, &again));
        assert!(!shares(&first, &other));
        assert_eq!(other.process, different.process);
        let parent = |event: &Event| event.process.as_ref().unwrap().parent.clone().unwrap();
        assert!(Arc::ptr_eq(&parent(&first), &parent(&other)));
        let mut last = different.clone();
        actors.share(&mut last);
        assert!(shares(&other, &last));
    }
}
