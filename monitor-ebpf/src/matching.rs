//! Is this object watched? Objects are compared as the kernel holds them, never by the path an actor named.

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
#[derive(Clone, Copy)]
pub struct Match {
    pub target: u32,
    /// Names between the watched object and the one that was used.
    pub below: u32,
    /// See the `HEAD_*` constants.
    pub flags: u32,
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
    wanted.then_some(Match { target: watch.target, below: 0, flags: 0 })
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
    Some(Match { target, below: 0, flags: HEAD_ANCESTOR })
}

/// The target of a socket in the file system: by inode, else by its name, so that a socket made anew is still watched.
#[inline(always)]
pub fn socket(inode: Kernel, dentry: Kernel) -> Option<Match> {
    if let Some(watch) = lookup(&key::<Probe>(inode))
        && watch.flags & WATCH_SELF != 0
    {
        return Some(Match { target: watch.target, below: 0, flags: 0 });
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
        return Some(Match { target, below: depth, flags: 0 });
    }
    (watch.flags & flags != 0).then_some(Match { target: watch.target, below: depth + 1, flags: 0 })
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
    Some(Match { target, below: 0, flags: 0 })
}

/// The target of a TCP port of this node that others connect to.
#[inline(always)]
pub fn inbound_port(port: u16) -> Option<Match> {
    let watch = watched_port(port)?;
    let wanted = watch.flags & WATCH_INBOUND != 0;
    wanted.then_some(Match { target: watch.target, below: 0, flags: HEAD_NO_ACTOR })
}

#[inline(always)]
fn watched_port(port: u16) -> Option<Watch> {
    // SAFETY: as in `lookup`.
    unsafe { PORTS.get(u32::from(port)) }.copied()
}
