//! A directory above targets was renamed, replaced or removed a moment ago. What has its name by now leads to the targets, and the daemon
//! does not know it yet.

use monitor_abi::fields::Field;
use monitor_abi::record::{HEAD_ACROSS, HEAD_ANCESTOR};
use monitor_abi::watch::{NAME_MAX, NameKey, TREE_DEPTH};

use crate::maps::MOVED;
use crate::matching::{self, Match};
use crate::news;
use crate::reader::{Kernel, Probe, Reader, sealed, untyped};

/// Names that are gone up by.
const STEPS: u32 = 2 * TREE_DEPTH;

/// Notes the name of a directory above a target.
#[inline(always)]
pub fn note(dentry: Kernel, target: u32) {
    if !sealed() && !dentry.is_null() && remember(untyped(dentry), target) != 0 {
        news::moved();
    }
}

/// VERIFIER: exported, so that it is checked once.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn remember(dentry: u64, target: u32) -> u32 {
    let dentry = dentry as Kernel;
    let mut key = empty(Probe::pointer(dentry, Field::DentryParent));
    // The map forgets its oldest entries by itself, so it has room.
    u32::from(matching::read_name(&mut key, dentry) && MOVED.insert(key, target, 0).is_ok())
}

/// The target of what lies beneath such a name.
#[inline(always)]
pub fn find(dentry: Kernel) -> Option<Match> {
    if !news::has_moves() || sealed() {
        return None;
    }
    Match::of_word(find_moved(untyped(dentry)))
}

/// The target of what has taken such a name.
#[inline(always)]
pub fn find_named(dentry: Kernel) -> Option<Match> {
    if !news::has_moves() || sealed() {
        return None;
    }
    let parent = Probe::pointer(dentry, Field::DentryParent);
    let target = moved(untyped(dentry), untyped(parent));
    (target != 0).then_some(Match::new(target as u32, 0, HEAD_ANCESTOR))
}

/// VERIFIER: as above.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn find_moved(dentry: u64) -> u64 {
    // What takes the name itself is a change of that directory.
    let mut child = Probe::pointer(dentry as Kernel, Field::DentryParent);
    for depth in 1..STEPS {
        let parent = Probe::pointer(child, Field::DentryParent);
        if parent == child {
            return 0;
        }
        let target = moved(child as u64, parent as u64);
        if target != 0 {
            return Match::new(target as u32, depth, HEAD_ACROSS).word();
        }
        child = parent;
    }
    0
}

/// The target and a bit beyond, or zero.
///
/// VERIFIER: as above.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn moved(child: u64, parent: u64) -> u64 {
    let mut key = empty(parent as Kernel);
    if !matching::read_name(&mut key, child as Kernel) {
        return 0;
    }
    // SAFETY: the map's values are replaced as a whole.
    unsafe { MOVED.get(key) }.map_or(0, |target| u64::from(*target) | 1 << 32)
}

/// No name yet, in this directory.
#[inline(always)]
fn empty(parent: Kernel) -> NameKey {
    NameKey { dir: matching::key::<Probe>(Probe::pointer(parent, Field::DentryInode)), name: [0; NAME_MAX] }
}
