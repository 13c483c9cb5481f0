//! Is this object watched? Objects are compared as the kernel holds them, never by the path an actor named.

use core::num::NonZeroU64;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use monitor_abi::fields::Field;
use monitor_abi::record::{HEAD_ANCESTOR, HEAD_NO_ACTOR};
use monitor_abi::watch::{
    NAME_MAX, NameKey, ObjectKey, TREE_DEPTH, WATCH_INBOUND, WATCH_NAMES, WATCH_SELF, WATCH_TREE, Watch,
    filter_slot,
};

use crate::maps::{ANCESTORS, GATE, NAMES, OBJECTS, PORTS};
use crate::reader::{Kernel, Probe, Reader};

/// The inode as a map key.
#[inline(always)]
pub fn key<R: Reader>(inode: Kernel) -> ObjectKey {
    let superblock = R::pointer(inode, Field::InodeSb);
    ObjectKey::new(R::read(superblock, Field::SbDev), R::read(inode, Field::InodeIno))
}

/// A watch that matched.
///
/// VERIFIER: one word that is never zero, so that an `Option` of it is one register: 6.1 and older refuse to copy the part of a
/// `None` that nobody wrote.
#[derive(Clone, Copy)]
pub struct Match(NonZeroU64);

impl Match {
    const BELOW: u32 = 32;
    const FLAGS: u32 = 40;
    const PRESENT: u64 = 1 << 63;

    #[inline(always)]
    pub fn new(target: u32, below: u32, flags: u32) -> Self {
        let word =
            u64::from(target) | u64::from(below as u8) << Self::BELOW | u64::from(flags as u8) << Self::FLAGS;
        // The upper bit is always set.
        Self(NonZeroU64::new(word | Self::PRESENT).unwrap_or(NonZeroU64::MAX))
    }

    #[inline(always)]
    pub fn target(self) -> u32 {
        self.0.get() as u32
    }

    /// Names between the watched object and the one that was used.
    #[inline(always)]
    pub fn below(self) -> u32 {
        u32::from((self.0.get() >> Self::BELOW) as u8)
    }

    /// See the `HEAD_*` constants.
    #[inline(always)]
    pub fn flags(self) -> u32 {
        u32::from((self.0.get() >> Self::FLAGS) as u8)
    }

    #[inline(always)]
    pub fn with(self, flags: u32) -> Self {
        Self::new(self.target(), self.below(), self.flags() | flags)
    }
}

#[inline(always)]
pub fn lookup(key: &ObjectKey) -> Option<Watch> {
    let gate = GATE.get(0)?;
    let (word, bit) = filter_slot(key);
    if gate.filter.get(word)? & bit == 0 {
        return None;
    }
    // SAFETY: the daemon replaces whole values, so a reader sees the old or the new one.
    unsafe { OBJECTS.get(key) }.copied()
}

/// The target of a file: by its inode, which no second name, mount or handle changes; else by the directories above it.
#[inline(always)]
pub fn file<R: Reader>(inode: Kernel, dentry: Kernel) -> Option<Match> {
    known::<R>(inode).or_else(|| above::<R>(dentry))
}

/// The target of an object that is watched itself.
#[inline(always)]
pub fn known<R: Reader>(inode: Kernel) -> Option<Match> {
    let watch = lookup(&key::<R>(inode))?;
    let wanted = watch.flags & (WATCH_SELF | WATCH_TREE) != 0;
    wanted.then_some(Match::new(watch.target, 0, 0))
}

/// The target of a directory entry by the directories above it, whether or not anything is there.
#[inline(always)]
pub fn above<R: Reader>(dentry: Kernel) -> Option<Match> {
    let mut child = dentry;
    for depth in 0..TREE_DEPTH {
        let parent = R::pointer(child, Field::DentryParent);
        if parent == child {
            return None;
        }
        if let Some(found) = inside::<R>(child, parent, WATCH_TREE, depth) {
            return Some(found);
        }
        child = parent;
    }
    None
}

/// The target below a directory: one of those, where there are more.
#[inline(always)]
pub fn below(inode: Kernel) -> Option<Match> {
    // SAFETY: as in `lookup`.
    let target = unsafe { ANCESTORS.get(key::<Probe>(inode)) }.copied()?;
    Some(Match::new(target, 0, HEAD_ANCESTOR))
}

/// The target of a socket in the file system: by inode, else by its name, so that a socket made anew is still watched.
#[inline(always)]
pub fn socket(inode: Kernel, dentry: Kernel) -> Option<Match> {
    if let Some(watch) = lookup(&key::<Probe>(inode))
        && watch.flags & WATCH_SELF != 0
    {
        return Some(Match::new(watch.target, 0, 0));
    }
    inside::<Probe>(dentry, Probe::pointer(dentry, Field::DentryParent), 0, 0)
}

/// The target of `child` through its parent directory: a watched name, else a watched tree (with `WATCH_TREE` in `flags`). The
/// name comes first because it says more: it may be another target's inside the tree.
/// `depth` is how many names lie below `child`.
#[inline(always)]
pub fn inside<R: Reader>(child: Kernel, parent: Kernel, flags: u32, depth: u32) -> Option<Match> {
    let dir = key::<R>(R::pointer(parent, Field::DentryInode));
    let watch = lookup(&dir)?;
    if watch.flags & WATCH_NAMES != 0
        && let Some(target) = name(dir, child)
    {
        return Some(Match::new(target, depth, 0));
    }
    (watch.flags & flags != 0).then_some(Match::new(watch.target, depth + 1, 0))
}

#[inline(never)]
fn name(dir: ObjectKey, child: Kernel) -> Option<u32> {
    let mut key = NameKey { dir, name: [0; NAME_MAX] };
    let text = Probe::pointer(child, Field::DentryName);
    // SAFETY: the destination is NAME_MAX bytes long; the helper checks the source. A name that is cut differs from
    // every key, because keys leave room for the terminator and the helper always writes one.
    let length =
        unsafe { bpf_probe_read_kernel_str(key.name.as_mut_ptr().cast(), NAME_MAX as u32, text.cast()) };
    if length <= 1 {
        return None;
    }
    // SAFETY: as in `lookup`.
    unsafe { NAMES.get(&key) }.copied()
}

/// The target of a TCP destination port.
#[inline(always)]
pub fn port(port: u16) -> Option<Match> {
    let target = watched_port(port)?.target;
    Some(Match::new(target, 0, 0))
}

/// The target of a TCP port of this node that others connect to.
#[inline(always)]
pub fn inbound_port(port: u16) -> Option<Match> {
    let watch = watched_port(port)?;
    let wanted = watch.flags & WATCH_INBOUND != 0;
    wanted.then_some(Match::new(watch.target, 0, HEAD_NO_ACTOR))
}

#[inline(always)]
fn watched_port(port: u16) -> Option<Watch> {
    // SAFETY: as in `lookup`.
    unsafe { PORTS.get(u32::from(port)) }.copied()
}
