//! Who makes changes of which a system call leaves nothing behind. The `syscall` backend describes the process when the call ends, and
//! fanotify says what was changed.

/// Processes that are described at a time. The oldest is forgotten first.
pub const DOERS_MAX: u32 = 256;

/// A process is described again after this time, in nanoseconds.
pub const AGAIN: u64 = 1_000_000_000;

/// Kinds that are no change of a file, beside `CHANGE_*` of [`crate::record`].
pub const CHANGE_MOUNT: u32 = 14;
pub const CHANGE_UMOUNT: u32 = 15;

/// What a process did lately. Times are nanoseconds since boot.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doing {
    /// When it was described.
    pub first: u64,
    pub last: u64,
    /// When it began, as in [`crate::record::Actor`].
    pub start: u64,
    /// Its memory, as a number: another one runs another program.
    pub memory: u64,
    /// See [`bit`].
    pub kinds: u32,
    pub pad: u32,
}

/// The bit of a kind of change.
pub const fn bit(change: u32) -> u32 {
    1 << (change & 31)
}

const _: () = assert!(size_of::<Doing>() == 40);

#[cfg(feature = "user")]
// SAFETY: `#[repr(C)]`, only integers, no implicit padding: every bit pattern is a value and every byte is set.
unsafe impl aya::Pod for Doing {}
