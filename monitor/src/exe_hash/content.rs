//! Reading one file, as it is and not as it becomes.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Statx, StatxFlags, makedev, openat, statx};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::hash::Digest;
use crate::node::root::magic_link;

/// The largest executables of a node have half of it.
pub(super) const SIZE_MAX: u64 = 256 << 20;

/// File systems write down times of the last tick of the clock, which are up to 10 ms old.
const TICK: i128 = 20_000_000;

/// Another one means that something was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stamp {
    dev: u64,
    ino: u64,
    size: u64,
    modified: i128,
    changed: i128,
}

impl Stamp {
    pub(super) fn of(stat: &Statx) -> Self {
        let time =
            |seconds: i64, nanoseconds: u32| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        Self {
            dev: makedev(stat.stx_dev_major, stat.stx_dev_minor),
            ino: stat.stx_ino,
            size: stat.stx_size,
            modified: time(stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
            changed: time(stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec),
        }
    }

    /// Nothing of it was changed since that time, in nanoseconds since 1970. Who can set the clock can lie.
    pub(super) fn is_from_before(&self, time: i128) -> bool {
        self.changed + TICK <= time
    }
}

/// As it is known without asking a server.
pub(super) fn stat(fd: &OwnedFd) -> Result<Statx, String> {
    let fields = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    statx(fd, "", AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC, fields)
        .map_err(|error| failed(&error.into()))
}

/// Reads the file that was found with this stamp.
pub(super) fn read(found: &OwnedFd, stamp: Stamp) -> Result<Digest, String> {
    let mode = u32::from(stat(found)?.stx_mode);
    if FileType::from_raw_mode(mode) != FileType::RegularFile {
        return Err("it is not a regular file".to_owned());
    }
    if stamp.size > SIZE_MAX {
        return Err(format!("it is larger than {} MiB", SIZE_MAX >> 20));
    }
    let flags = OFlags::RDONLY | OFlags::NOATIME | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let open = |flags| openat(CWD, magic_link(found), flags, Mode::empty());
    // Only its owner, or CAP_FOWNER, may read a file without leaving a trace of it.
    let without_trace = open(flags);
    let fd = match without_trace {
        Err(Errno::PERM) => open(flags - OFlags::NOATIME),
        opened => opened,
    };
    let fd = fd.map_err(|error| failed(&error.into()))?;
    let mut file = File::from(fd).take(SIZE_MAX + 1);
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 64 << 10]);
    loop {
        let length = file.read(&mut buffer).map_err(|error| failed(&error))?;
        if length == 0 {
            break;
        }
        hash.update(&buffer[..length]);
    }
    if Stamp::of(&stat(found)?) != stamp {
        return Err("it was changed while it was read".to_owned());
    }
    Ok(Digest(hash.finalize().into()))
}

pub(super) fn failed(error: &std::io::Error) -> String {
    format!("it cannot be read: {error}")
}
