//! How the daemon asks the kernel side what it sees, and how the kernel side knows the daemon.

use crate::watch::{FILTER_WORDS, ObjectKey};

/// What every hook looks at first.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// See [`crate::watch::filter_slot`].
    pub filter: [u64; FILTER_WORDS],
    /// The same for devices with watched directories: see [`crate::watch::device_bit`].
    pub devices: u64,
    /// The same for devices whose objects are entered with their generations.
    pub exact: u64,
    /// The daemon's probing thread while it waits for an answer, else zero.
    pub armed: u32,
    pub pad: u32,
}

impl Default for Gate {
    fn default() -> Self {
        Self { filter: [0; FILTER_WORDS], devices: 0, exact: 0, armed: 0, pad: 0 }
    }
}

/// What changed on the node, counted by the kernel side. A second copy has the counts up to which the daemon has looked at the
/// node; where the two differ, the hooks look further than they have to otherwise.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Mounts on watched objects and above them.
    pub mounts: u32,
    /// Objects that were added to the map of learned ones.
    pub learned: u32,
    /// Directories above watched objects that were renamed, replaced or removed.
    pub moves: u32,
}

/// The daemon as the kernel knows it. Its own accesses are left out by this, never by name.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// `start_boottime` of the thread group leader: a process id alone can be reused.
    pub start: u64,
    pub tgid: u32,
    pub pad: u32,
    pub own: Namespaces,
    /// Those of the first process, wherever the daemon runs; zero if it is not among the daemon's ancestors.
    pub node: Namespaces,
}

/// Inode numbers of the namespaces a process is in.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    pub mnt: u32,
    pub pid: u32,
    pub net: u32,
    pub pad: u32,
}

/// One object can be reported more than once for one open: overlayfs opens the file beneath its own.
pub const PROBE_KEYS: usize = 4;

/// The daemon touches an object; each hook that sees it do so leaves what it saw here.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// How many of `keys` are filled.
    pub count: u32,
    /// One bit for each hook that answered: see the `PROBE_*` constants.
    pub hooks: u32,
    /// Destination of the last connection begun.
    pub port: u32,
    pub pad: u32,
    pub keys: [ObjectKey; PROBE_KEYS],
    pub generations: [u32; PROBE_KEYS],
}

/// A file was opened.
pub const PROBE_FILE: u32 = 1;
/// A unix socket was connected to; the key is the peer's.
pub const PROBE_UNIX: u32 = 1 << 1;
/// A TCP connection was begun; the port is the destination's.
pub const PROBE_INET: u32 = 1 << 2;

const _: () = assert!(size_of::<Gate>() == 8 * FILTER_WORDS + 24);
const _: () = assert!(size_of::<News>() == 12);
const _: () = assert!(size_of::<Own>() == 48);
const _: () = assert!(size_of::<Probe>() == 16 + PROBE_KEYS * (size_of::<ObjectKey>() + 4));

#[cfg(feature = "user")]
mod user {
    // SAFETY: `#[repr(C)]`, only integers, no implicit padding: every bit pattern is a value and every byte is set.
    unsafe impl aya::Pod for super::Gate {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::News {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Own {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Probe {}
}
