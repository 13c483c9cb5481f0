//! Is this object watched? Objects are compared as the kernel holds them, never by the path an actor named.

use core::num::NonZeroU64;
use core::ptr;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use monitor_abi::fields::Field;
use monitor_abi::probe::Gate;
use monitor_abi::record::{HEAD_ANCESTOR, HEAD_NO_ACTOR, HEAD_STALE};
use monitor_abi::watch::{
    NAME_MAX, NameKey, ObjectKey, TREE_DEPTH, WATCH_NAMES, WATCH_SELF, WATCH_TREE, Watch, device_bit,
    filter_slot,
};

use crate::capture::inside;
use crate::maps::{ANCESTORS, GATE, NAMES, OBJECTS, PORTS};
use crate::reader::{Kernel, Probe, Reader, untyped};

/// The inode as a map key.
#[inline(always)]
pub fn key<R: Reader>(inode: Kernel) -> ObjectKey {
    ObjectKey::new(device::<R>(R::pointer(inode, Field::InodeSb)), R::read(inode, Field::InodeIno))
}

/// The same where many look: faster, but it takes stack.
#[inline(always)]
pub fn key_at_once<R: Reader>(inode: Kernel) -> ObjectKey {
    let [superblock, number] = R::words(inode, [Field::InodeSb, Field::InodeIno]);
    ObjectKey::new(device::<R>(superblock as Kernel), number)
}

/// Another one for each file that gets the same number.
#[inline(always)]
pub fn generation<R: Reader>(inode: Kernel) -> u32 {
    R::read(inode, Field::InodeGeneration)
}

#[inline(always)]
fn device<R: Reader>(superblock: Kernel) -> u32 {
    R::read(superblock, Field::SbDev)
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

    /// For exported functions, which take numbers only.
    #[inline(always)]
    pub fn word(self) -> u64 {
        self.0.get()
    }

    #[inline(always)]
    pub fn of_word(word: u64) -> Option<Self> {
        NonZeroU64::new(word).map(Self)
    }

    #[inline(always)]
    pub fn with(self, flags: u32) -> Self {
        Self::new(self.target(), self.below(), self.flags() | flags)
    }

    #[inline(always)]
    pub fn is_stale(&self) -> bool {
        self.flags() & HEAD_STALE != 0
    }
}

/// The entry for an inode. `key` gets the generation where that is part of it.
#[inline(always)]
fn lookup<R: Reader>(key: &mut ObjectKey, inode: Kernel) -> Option<Watch> {
    look_through::<R>(GATE.get(0)?, key, inode)
}

#[inline(always)]
fn look_through<R: Reader>(gate: &Gate, key: &mut ObjectKey, inode: Kernel) -> Option<Watch> {
    let (word, bit) = filter_slot(key);
    if gate.filter.get(word)? & bit == 0 {
        return None;
    }
    // SAFETY: the daemon replaces whole values, so a reader sees the old or the new one.
    let found = unsafe { OBJECTS.get(&*key) }.copied();
    if found.is_some() || gate.exact & device_bit(key.dev) == 0 {
        return found;
    }
    key.generation = generation::<R>(inode);
    // SAFETY: as above.
    unsafe { OBJECTS.get(&*key) }.copied()
}

/// The entry for a directory.
#[inline(always)]
pub fn directory<R: Reader>(inode: Kernel) -> Option<Watch> {
    lookup::<R>(&mut key::<R>(inode), inode)
}

/// The target of a file: by its inode, which no second name, mount or handle changes; else by the directories above it.
#[inline(always)]
pub fn file<R: Reader>(inode: Kernel, dentry: Kernel) -> Option<Match> {
    let known = known::<R>(inode, &key::<R>(inode), WATCH_SELF | WATCH_TREE);
    if is_sure(known) { known } else { above::<R>(dentry).or(known) }
}

/// The target of an object that is watched itself. `HEAD_STALE` says that it only has the number of one.
#[inline(always)]
pub fn known<R: Reader>(inode: Kernel, key: &ObjectKey, flags: u32) -> Option<Match> {
    let watch = lookup::<R>(&mut { *key }, inode)?;
    let stale = if watch.generation == generation::<R>(inode) { 0 } else { HEAD_STALE };
    (watch.flags & flags != 0).then_some(Match::new(watch.target, 0, stale))
}

/// Whether nothing else has to be looked for: what is found by a number alone counts if nothing else is found.
#[inline(always)]
pub fn is_sure(found: Option<Match>) -> bool {
    found.is_some_and(|found| !found.is_stale())
}

/// The target of a directory entry by the directories above it, whether or not anything is there.
#[inline(always)]
pub fn above<R: Reader>(dentry: Kernel) -> Option<Match> {
    let device = device::<R>(R::pointer(dentry, Field::DentrySb));
    above_on::<R>(dentry, R::pointer(dentry, Field::DentryParent), device)
}

/// The target of an open file by the directories above its entry; the inode's device is known.
#[inline(always)]
pub fn above_open<R: Reader>(dentry: Kernel, inode: Kernel, known: u32) -> Option<Match> {
    let [parent, own] = R::words(dentry, [Field::DentryParent, Field::DentryInode]);
    // The entry is overlayfs's own where older kernels open the file beneath it.
    let is_own = own as Kernel == inode;
    let device = if is_own { known } else { device::<R>(R::pointer(dentry, Field::DentrySb)) };
    above_on::<R>(dentry, parent as Kernel, device)
}

/// No directory above is on another device: mounts are not among them.
#[inline(always)]
fn above_on<R: Reader>(dentry: Kernel, parent: Kernel, device: u32) -> Option<Match> {
    let gate = GATE.get(0)?;
    if gate.devices & device_bit(device) == 0 {
        return None;
    }
    let (mut child, mut parent) = (dentry, parent);
    for depth in 0..TREE_DEPTH {
        if parent == child {
            return None;
        }
        let [next, inode] = R::words(parent, [Field::DentryParent, Field::DentryInode]);
        let mut dir = ObjectKey::new(device, R::read(inode as Kernel, Field::InodeIno));
        if let Some(watch) = look_through::<R>(gate, &mut dir, inode as Kernel)
            && let Some(found) = through::<R>(watch, dir, child, WATCH_TREE, depth)
        {
            return Some(found);
        }
        (child, parent) = (parent, next as Kernel);
    }
    None
}

/// The target below a directory: one of those, where there are more.
#[inline(always)]
pub fn below<R: Reader>(inode: Kernel) -> Option<Match> {
    let mut key = key::<R>(inode);
    // SAFETY: as in `look_through`.
    let mut found = unsafe { ANCESTORS.get(key) }.copied();
    if found.is_none() {
        key.generation = generation::<R>(inode);
        // SAFETY: as above.
        found = unsafe { ANCESTORS.get(key) }.copied();
    }
    Some(Match::new(found?, 0, HEAD_ANCESTOR))
}

/// The target of a socket in the file system: by inode, else by its name or its directory, so that a socket made anew is still watched.
#[inline(always)]
pub fn socket<R: Reader>(inode: Kernel, dentry: Kernel) -> Option<Match> {
    let known = known::<R>(inode, &key::<R>(inode), WATCH_SELF);
    if is_sure(known) {
        return known;
    }
    in_directory::<R>(dentry, R::pointer(dentry, Field::DentryParent), WATCH_TREE, 0).or(known)
}

/// The target of `child` through its parent directory: a watched name, else a watched tree (with `WATCH_TREE` in `flags`). The
/// name comes first because it says more: it may be another target's inside the tree.
/// `depth` is how many names lie below `child`.
#[inline(always)]
pub fn in_directory<R: Reader>(child: Kernel, parent: Kernel, flags: u32, depth: u32) -> Option<Match> {
    let inode = R::pointer(parent, Field::DentryInode);
    let mut dir = key::<R>(inode);
    through::<R>(lookup::<R>(&mut dir, inode)?, dir, child, flags, depth)
}

#[inline(always)]
fn through<R: Reader>(watch: Watch, dir: ObjectKey, child: Kernel, flags: u32, depth: u32) -> Option<Match> {
    if watch.flags & WATCH_NAMES != 0
        && let Some(target) = name::<R>(dir, child)
    {
        return Some(Match::new(target, depth, 0));
    }
    (watch.flags & flags != 0).then_some(Match::new(watch.target, depth + 1, 0))
}

/// The target of a name in a directory.
#[inline(always)]
fn name<R: Reader>(dir: ObjectKey, child: Kernel) -> Option<u32> {
    if R::sealed() {
        return short_name(dir, child);
    }
    // VERIFIER: no detour over the stack where there is no type to lose; on 6.1 there is no room for it.
    let child = if R::ANYWHERE { child as u64 } else { untyped(child) };
    let word = find_name(dir.ino, dir.dev, dir.generation, child);
    (word != 0).then_some(word as u32)
}

/// Where names are read from their entries alone, those that are too long for that match nothing.
///
/// VERIFIER: not exported, so that the entry keeps its type.
#[inline(never)]
fn short_name(dir: ObjectKey, child: Kernel) -> Option<u32> {
    let mut key = NameKey { dir, name: [0; NAME_MAX] };
    let name = inside::short_name(child)?;
    // SAFETY: the key has room for it, and any bytes are a name.
    unsafe { ptr::write_unaligned(key.name.as_mut_ptr().cast(), name.words) };
    // SAFETY: as in `look_through`.
    unsafe { NAMES.get(&key) }.copied()
}

/// The target and a bit beyond, or zero.
///
/// VERIFIER: exported, so that it is checked once and not for each step upwards.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn find_name(ino: u64, dev: u32, generation: u32, child: u64) -> u64 {
    let mut key = NameKey { dir: ObjectKey { ino, dev, generation }, name: [0; NAME_MAX] };
    if !read_name(&mut key, child as Kernel) {
        return 0;
    }
    // SAFETY: as in `look_through`.
    unsafe { NAMES.get(&key) }.map_or(0, |target| u64::from(*target) | 1 << 32)
}

/// `false` where there is no name.
#[inline(always)]
pub fn read_name(key: &mut NameKey, child: Kernel) -> bool {
    let text = Probe::pointer(child, Field::DentryName);
    // SAFETY: the destination is NAME_MAX bytes long; the helper checks the source. A name that is cut differs from
    // every key, because keys leave room for the terminator and the helper always writes one.
    unsafe { bpf_probe_read_kernel_str(key.name.as_mut_ptr().cast(), NAME_MAX as u32, text.cast()) > 1 }
}

/// The target of a TCP destination port.
#[inline(always)]
pub fn port(port: u16) -> Option<Match> {
    let target = watched_port(port)?.target;
    Some(Match::new(target, 0, 0))
}

/// The target of a TCP port of this node that others connect to. Whether the policy says who may makes no difference: a client of this
/// node that was not seen to connect is none of the expected ones.
#[inline(always)]
pub fn inbound_port(port: u16) -> Option<Match> {
    let target = watched_port(port)?.target;
    Some(Match::new(target, 0, HEAD_NO_ACTOR))
}

#[inline(always)]
fn watched_port(port: u16) -> Option<Watch> {
    // SAFETY: as in `look_through`.
    unsafe { PORTS.get(u32::from(port)) }.copied()
}
