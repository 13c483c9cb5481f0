//! Counting an access that a process repeats, instead of a record for each.

/// The first access of a window is a record, those that follow are counted. In nanoseconds, if nothing else is asked for.
pub const WINDOW: u64 = 5_000_000_000;

/// Accesses of different processes to different objects are counted apart.
pub const REPEATS_MAX: u32 = 8192;

/// One process doing one thing to one object.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RepeatKey {
    /// Of the process, as in [`crate::record::Actor`].
    pub start: u64,
    /// An inode's number, or the far address of a connection folded to this.
    pub object: u64,
    /// A device, or a port.
    pub device: u32,
    pub tgid: u32,
    pub target: u32,
    /// The record's tag, and for a file how it is opened: see [`of_file`].
    pub what: u32,
    /// As what it runs: see [`crate::record::Actor::role`].
    pub role: u32,
    /// Always zero: map keys are compared byte by byte.
    pub pad: u32,
}

/// Times are nanoseconds since boot.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repeat {
    /// When the window began that is the last.
    pub since: u64,
    /// The last access that was counted.
    pub last: u64,
    /// Accesses that were counted, of all windows.
    pub count: u64,
}

/// [`crate::record::Actor::role`] of a process with this memory (a number), this executable and this user, that somebody controls or not.
/// Whoever becomes another program gets other memory, and with the same again the executable is another.
pub const fn role(memory: u64, exe_ino: u64, uids: u64, traced: bool) -> u32 {
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let sum = memory.wrapping_mul(SPREAD).rotate_left(23) ^ exe_ino;
    let sum = sum.wrapping_mul(SPREAD).rotate_left(23) ^ uids;
    ((sum.wrapping_mul(SPREAD) >> 33) as u32) << 1 | traced as u32
}

/// `what` of an opened file.
pub const fn of_file(tag: u32, open_flags: u32) -> u32 {
    const O_ACCMODE: u32 = 3;
    tag | (open_flags & O_ACCMODE) << 8
}

/// A bit of `what`: the connection to a unix socket failed, and only the path is known that was named.
pub const REFUSED: u32 = 1 << 16;

/// Bytes of the longest path of a unix socket, rounded up to whole words.
pub const SUN_PATH_MAX: usize = 112;

/// `object` of a path that was named, filled up with zeros.
pub const fn of_path(words: &[u64; SUN_PATH_MAX / 8]) -> u64 {
    let (mut sum, mut index) = (0, 0);
    while index < words.len() {
        // Odd, with its bits spread.
        sum = (sum ^ words[index]).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        index += 1;
    }
    sum
}

/// `object` of a connection.
pub const fn of_address(address: [u8; 16]) -> u64 {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = address;
    u64::from_ne_bytes([a, b, c, d, e, f, g, h]) ^ u64::from_ne_bytes([i, j, k, l, m, n, o, p]).rotate_left(1)
}

const _: () = assert!(size_of::<RepeatKey>() == 40);
const _: () = assert!(size_of::<Repeat>() == 24);

#[cfg(feature = "user")]
mod user {
    // SAFETY: `#[repr(C)]`, only integers, no implicit padding: every bit pattern is a value and every byte is set.
    unsafe impl aya::Pod for super::RepeatKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Repeat {}
}
