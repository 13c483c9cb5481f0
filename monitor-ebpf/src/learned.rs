//! Objects that came into a watched tree a moment ago. The daemon knows them after its next look; a second name or a handle could be
//! used before.

use monitor_abi::watch::Learned;

use crate::maps::LEARNED;
use crate::matching::{self, Match, generation};
use crate::news;
use crate::reader::{Kernel, Reader};

#[inline(always)]
pub fn learn<R: Reader>(inode: Kernel, target: u32) {
    let key = matching::key::<R>(inode);
    if key.ino == 0 {
        return;
    }
    // The map forgets its oldest entries by itself, so it has room.
    let _ = LEARNED.insert(key, Learned { target, generation: generation::<R>(inode) }, 0);
    news::learned();
}

#[inline(always)]
pub fn find<R: Reader>(inode: Kernel) -> Option<Match> {
    if !news::has_learned() {
        return None;
    }
    // SAFETY: the map's values are replaced as a whole.
    let known = unsafe { LEARNED.get(matching::key::<R>(inode)) }.copied()?;
    (known.generation == generation::<R>(inode)).then_some(Match::new(known.target, 0, 0))
}
