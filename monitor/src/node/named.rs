//! Where a path leads that an actor named, seen from the outside and afterwards.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, OFlags, Stat, StatxFlags, StatxTimestamp, fstat, major, minor, statx};

use super::{Namespaces, Root};
use crate::access::{Actor, ObjectKey};

/// A file as stat(2) shows it, good for comparing two paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    pub dev: u64,
    pub ino: u64,
}

impl FileId {
    /// As the kernel holds it, where it holds what it shows.
    pub fn key(self) -> ObjectKey {
        ObjectKey::new(major(self.dev) << 20 | minor(self.dev), self.ino)
    }
}

impl From<&Stat> for FileId {
    fn from(stat: &Stat) -> Self {
        Self { dev: stat.st_dev, ino: stat.st_ino }
    }
}

/// When a file was made, in nanoseconds since 1970, where its file system tells: nobody can set it.
pub fn born(fd: impl AsFd) -> Option<i128> {
    let stat = statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::BTIME).ok()?;
    let is_known = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME);
    let StatxTimestamp { tv_sec, tv_nsec, .. } = stat.stx_btime;
    is_known.then_some(i128::from(tv_sec) * 1_000_000_000 + i128::from(tv_nsec))
}

/// The file at a path of the node.
pub fn file_id(root: &Root, path: &Path) -> Option<FileId> {
    stat(root, path).map(|stat| FileId::from(&stat))
}

/// The socket at a path as the actor named it. In another mount namespace it can be found only while the actor lives.
pub fn socket_at(root: &Root, named: &[u8], actor: &Actor, node: Namespaces) -> Option<FileId> {
    let cwd = Path::new(OsStr::from_bytes(&actor.cwd));
    let path = cwd.join(OsStr::from_bytes(named));
    let found = if actor.mnt_ns == node.mnt {
        stat(root, &path)?
    } else {
        let root = Root::of_process(actor.pid).ok()?;
        stat(&root, &path)?
    };
    (FileType::from_raw_mode(found.st_mode) == FileType::Socket).then(|| FileId::from(&found))
}

fn stat(root: &Root, path: &Path) -> Option<Stat> {
    fstat(root.open(path, OFlags::PATH).ok()?).ok()
}
