//! What was just mounted over a watched directory is not known to the daemon yet. Until it is, files are matched across mounts.

use monitor_abi::fields::Field;
use monitor_abi::record::HEAD_ACROSS;
use monitor_abi::watch::{TREE_DEPTH, WATCH_TREE};

use crate::matching::{self, Match};
use crate::news;
use crate::reader::{Kernel, Probe, Reader, address, container, sealed, untyped};

/// Names and mounts that are gone up by.
const STEPS: u32 = 2 * TREE_DEPTH;

/// The target of a file by the directories above it and above its mounts.
#[inline(always)]
pub fn find(file: Kernel, dentry: Kernel) -> Option<Match> {
    // What is beneath a mount is found by its place inside another structure, which types do not lead to.
    if !news::has_mounts() || sealed() {
        return None;
    }
    Match::of_word(cross_mounts(Probe::read(file, Field::FileMnt), untyped(dentry)))
}

/// VERIFIER: exported, so that it is checked once: eight steps have many ways through.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn cross_mounts(mnt: u64, dentry: u64) -> u64 {
    cross(mnt as Kernel, dentry as Kernel).map_or(0, Match::word)
}

#[inline(always)]
fn cross(mnt: Kernel, dentry: Kernel) -> Option<Match> {
    let (mut mnt, mut child, mut depth) = (mnt, dentry, 0);
    for _ in 0..STEPS {
        if child == Probe::pointer(mnt, Field::VfsmountRoot) {
            let mount = container(mnt, Field::MountVfsmount);
            child = Probe::pointer(mount, Field::MountMountpoint);
            mnt = address(Probe::pointer(mount, Field::MountParent), Field::MountVfsmount);
            let inode = Probe::pointer(child, Field::DentryInode);
            if let Some(watch) = matching::directory::<Probe>(inode)
                && watch.flags & WATCH_TREE != 0
            {
                return Some(Match::new(watch.target, depth, 0));
            }
            if let Some(above) = matching::below::<Probe>(inode) {
                return Some(Match::new(above.target(), depth, HEAD_ACROSS));
            }
        }
        let parent = Probe::pointer(child, Field::DentryParent);
        if let Some(found) = matching::in_directory::<Probe>(child, parent, WATCH_TREE, depth) {
            return Some(found);
        }
        if child != parent {
            depth += 1;
        }
        child = parent;
    }
    None
}
