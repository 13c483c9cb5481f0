//! Between a change of the node and the daemon's next look at it, watched places have objects that the daemon does not know yet. The
//! hooks note that here and then look further, until the daemon says it has seen it all.

use monitor_abi::probe::News;

use crate::maps::{NEWS, NEWS_SEEN};

/// Something was mounted on a watched object or above it, or may have been.
#[inline(always)]
pub fn mounted() {
    if let Some(news) = NEWS.get_ptr_mut(0) {
        // SAFETY: a plain counter; two mounts that count as one still differ from what was seen.
        unsafe { (*news).mounts = (*news).mounts.wrapping_add(1) };
    }
}

/// Something was added to the map of learned objects.
#[inline(always)]
pub fn learned() {
    if let Some(news) = NEWS.get_ptr_mut(0) {
        // SAFETY: as above.
        unsafe { (*news).learned = (*news).learned.wrapping_add(1) };
    }
}

/// A directory above a watched object is another one now.
#[inline(always)]
pub fn moved() {
    if let Some(news) = NEWS.get_ptr_mut(0) {
        // SAFETY: as above.
        unsafe { (*news).moves = (*news).moves.wrapping_add(1) };
    }
}

/// Whether such moves are not seen by the daemon yet.
#[inline(always)]
pub fn has_moves() -> bool {
    differs(|news| news.moves)
}

/// Whether mounts are not seen by the daemon yet.
#[inline(always)]
pub fn has_mounts() -> bool {
    differs(|news| news.mounts)
}

/// Whether learned objects are not seen by the daemon yet.
#[inline(always)]
pub fn has_learned() -> bool {
    differs(|news| news.learned)
}

#[inline(always)]
fn differs(count: impl Fn(&News) -> u32) -> bool {
    match (NEWS.get(0), NEWS_SEEN.get(0)) {
        (Some(news), Some(seen)) => count(news) != count(seen),
        _ => false,
    }
}
