//! What the daemon asks the kernel to watch: objects, names inside a directory, and TCP ports.

/// A file system object as the hooks see it: `inode->i_ino` and `inode->i_sb->s_dev` (the kernel's own encoding,
/// which `stat` does not show on btrfs and overlayfs).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    pub ino: u64,
    pub dev: u32,
    /// `inode->i_generation` where each part of a file system numbers its objects for itself, as subvolumes of btrfs do on one device,
    /// and nobody can change a generation. Else zero, and one number is one object at a time.
    pub generation: u32,
}

impl ObjectKey {
    pub const fn new(dev: u32, ino: u64) -> Self {
        Self { ino, dev, generation: 0 }
    }
}

/// The entry for one object.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// Which target a use of the object belongs to.
    pub target: u32,
    pub flags: u32,
    /// `inode->i_generation`: file systems give the number of a file that is gone to the next one, with another generation.
    pub generation: u32,
}

/// A use of the object itself is an access.
pub const WATCH_SELF: u32 = 1;
/// A use of anything beneath the directory is an access.
pub const WATCH_TREE: u32 = 1 << 1;
/// Some names directly inside the directory are watched: look into the map of names.
pub const WATCH_NAMES: u32 = 1 << 2;

/// Connections from elsewhere to the port are accesses, too. The programs tell of all, and the daemon leaves out what is none.
pub const WATCH_INBOUND: u32 = 1 << 3;

/// A TCP connection that began on this node: what an accepted one looks like from the other end.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowKey {
    pub src: [u8; 16],
    pub dst: [u8; 16],
    pub src_port: u16,
    pub dst_port: u16,
}

/// Longest file name in the map of names. A longer name can only be watched by object.
pub const NAME_MAX: usize = 64;

/// A name directly inside a directory. It keeps matching while the file it names is deleted and made again.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NameKey {
    pub dir: ObjectKey,
    /// Padded with zeros.
    pub name: [u8; NAME_MAX],
}

impl NameKey {
    /// `None` when the name is empty or too long for the map.
    pub fn new(dir: ObjectKey, name: &[u8]) -> Option<Self> {
        // One byte is left for the terminator the kernel side writes.
        if name.is_empty() || name.len() >= NAME_MAX {
            return None;
        }
        let mut padded = [0; NAME_MAX];
        padded[..name.len()].copy_from_slice(name);
        Some(Self { dir, name: padded })
    }
}

/// How many parents of an opened file are compared with watched directories.
pub const TREE_DEPTH: u32 = 4;

/// Words of the filter in front of the map of objects: one bit for each possible hash of a watched object, so that
/// an open of anything else costs a few loads and no look-up.
pub const FILTER_WORDS: usize = 64;

const FILTER_BITS: u32 = 12;
const _: () = assert!(FILTER_WORDS * 64 == 1 << FILTER_BITS);

/// The filter's word and bit for an object.
#[inline(always)]
pub const fn filter_slot(key: &ObjectKey) -> (usize, u64) {
    // Fibonacci hashing: the high bits of a product with 2^64/phi depend on all bits of the key.
    let hash = (key.ino ^ ((key.dev as u64) << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - FILTER_BITS);
    ((hash >> 6) as usize & (FILTER_WORDS - 1), 1 << (hash & 63))
}

/// The bit for a device among those with watched directories: on all others no walk through the directories above is needed.
#[inline(always)]
pub const fn device_bit(dev: u32) -> u64 {
    // As above. The minor number, which differs most, is in the lower bits.
    1 << (dev.wrapping_mul(0x9e37_79b9) >> 26)
}

/// An object that came into a watched tree a moment ago.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    pub target: u32,
    /// As that of a watch.
    pub generation: u32,
}

/// How many objects, names, ports, ancestors and learned objects fit.
pub const OBJECTS_MAX: u32 = 4096;
pub const NAMES_MAX: u32 = 512;
pub const PORTS_MAX: u32 = 64;
pub const ANCESTORS_MAX: u32 = 512;
pub const LEARNED_MAX: u32 = 4096;
pub const MOVED_MAX: u32 = 256;
pub const FLOWS_MAX: u32 = 4096;
pub const EXECUTABLES_MAX: u32 = 1024;

const _: () = assert!(size_of::<ObjectKey>() == 16);
const _: () = assert!(size_of::<Watch>() == 12);
const _: () = assert!(size_of::<Learned>() == 8);
const _: () = assert!(size_of::<NameKey>() == 80);
const _: () = assert!(size_of::<FlowKey>() == 36);

#[cfg(feature = "user")]
mod user {
    // SAFETY: `#[repr(C)]`, only integers, no implicit padding: every bit pattern is a value and every byte is set.
    unsafe impl aya::Pod for super::ObjectKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Watch {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Learned {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::NameKey {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_slots_stay_inside_the_filter_and_spread() {
        let mut used = [0u64; FILTER_WORDS];
        for ino in 0..4096 {
            let (word, bit) = filter_slot(&ObjectKey::new(0x80_0010, ino));
            used[word] |= bit;
        }
        let set: u32 = used.iter().map(|word| word.count_ones()).sum();
        assert!(set > 2000, "4096 consecutive inodes use only {set} of 4096 bits");
    }

    #[test]
    fn device_bits_spread() {
        let used = (0..64).fold(0, |used, minor| used | device_bit(8 << 20 | minor));
        assert!(used.count_ones() > 30, "64 devices use only {} of 64 bits", used.count_ones());
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        let dir = ObjectKey::new(1, 2);
        assert!(NameKey::new(dir, b"").is_none());
        assert!(NameKey::new(dir, &[b'x'; NAME_MAX]).is_none());
        assert!(NameKey::new(dir, &[b'x'; NAME_MAX - 1]).is_some());
    }
}
