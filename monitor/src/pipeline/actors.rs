//! One description of a process for all of its events: those that wait to be written, or are kept to be repeated, would have thousands
//! of it in a flood.

use std::num::NonZero;
use std::sync::Arc;

use lru::LruCache;

use crate::event::{Event, Process};

/// So many threads are remembered.
const MOST: NonZero<usize> = NonZero::new(64).unwrap();

pub(super) struct Actors {
    known: LruCache<(u32, u32), Arc<Process>>,
}

impl Default for Actors {
    fn default() -> Self {
        Self { known: LruCache::new(MOST) }
    }
}

impl Actors {
    /// Lets the event have the description that an earlier one has, if nothing in it differs.
    pub(super) fn share(&mut self, event: &mut Event) {
        let Some(process) = &mut event.process else { return };
        let known = self.known.get_or_insert_mut((process.pid, process.tid), || Arc::clone(process));
        if known != process {
            *known = Arc::clone(process);
        }
        *process = Arc::clone(known);
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
        let mut last = different.clone();
        actors.share(&mut last);
        assert!(shares(&other, &last));
    }
}
