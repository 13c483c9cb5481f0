//! The node's file system, wherever the daemon itself runs: the root of process 1.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::{fs, io};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

/// Paths are resolved inside it, so that absolute symbolic links on the node do not lead out into the daemon's own root.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    path: PathBuf,
}

impl Root {
    /// Where process 1 has its root. In a container that is the node only with `hostPID`.
    pub fn of_node() -> io::Result<Self> {
        Self::at(Path::new("/proc/1/root"))
    }

    pub fn at(path: &Path) -> io::Result<Self> {
        let fd = openat2(
            CWD,
            path,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::empty(),
        )?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Opens a path of the node.
    pub fn open(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let relative = path.strip_prefix("/").unwrap_or(path);
        let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
        Ok(openat2(&self.fd, relative, flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT)?)
    }

    /// Where the daemon finds the root itself, to join fixed paths to.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The path of an open file in its mount namespace, all links resolved.
pub fn canonical(fd: &OwnedFd) -> io::Result<PathBuf> {
    fs::read_link(magic_link(fd))
}

/// A path that names an open file whatever has become of the one it was opened by.
pub fn magic_link(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}
