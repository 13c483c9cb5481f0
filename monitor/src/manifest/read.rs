//! A path of the node, without following it anywhere and without waiting for anybody.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat, readlinkat};

use crate::node::Root;
use crate::node::root::{magic_link, unnoticed};

/// Far more than any manifest has. The kubelet takes ten times as much.
pub(super) const SIZE_MAX: u64 = 1 << 20;

/// Another one means that something was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    device: u64,
    inode: u64,
    mode: u32,
    size: i64,
    modified: (i64, i64),
    changed: (i64, i64),
}

pub(super) struct Found {
    pub fingerprint: Fingerprint,
    pub kind: Kind,
}

pub(super) enum Kind {
    File(Content),
    /// With where it leads.
    Link(Vec<u8>),
    Directory,
    /// A pipe, a socket or a device.
    Other,
}

/// A regular file that was found and not opened yet.
pub(super) struct Content(OwnedFd);

impl Found {
    /// `None` where nothing is, or nothing that can be told of.
    pub(super) fn at(root: &Root, path: &Path) -> Option<Self> {
        let fd = root.open(path, OFlags::PATH | OFlags::NOFOLLOW).ok()?;
        let stat = fstat(&fd).ok()?;
        let fingerprint = Fingerprint {
            device: stat.st_dev,
            inode: stat.st_ino,
            mode: stat.st_mode,
            size: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec.cast_signed()),
            changed: (stat.st_ctime, stat.st_ctime_nsec.cast_signed()),
        };
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File(Content(fd)),
            FileType::Symlink => Kind::Link(readlinkat(&fd, "", Vec::new()).ok()?.into_bytes()),
            FileType::Directory => Kind::Directory,
            _ => Kind::Other,
        };
        Some(Self { fingerprint, kind })
    }
}

impl Content {
    /// The same object is opened that was found to be a regular file, whatever has its path by now.
    pub(super) fn read(&self) -> Result<Vec<u8>, String> {
        let failed = |error: std::io::Error| format!("it cannot be read: {error}");
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let open = |flags| openat(CWD, magic_link(&self.0), flags, Mode::empty());
        let fd = unnoticed(flags, open).map_err(failed)?;
        let mut bytes = Vec::new();
        File::from(fd).take(SIZE_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > SIZE_MAX {
            return Err(format!("it is larger than {SIZE_MAX} bytes"));
        }
        Ok(bytes)
    }
}
