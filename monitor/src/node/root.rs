//! The node's file system, wherever the daemon itself runs.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use rustix::fs::{CWD, Dir, Mode, OFlags, ResolveFlags, openat2};

use super::Identity;

/// Paths are resolved inside it, so that absolute symbolic links on the node do not lead out into the daemon's own root.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    path: &'static Path,
    mountinfo: &'static Path,
}

impl Root {
    /// The daemon's own root where it shares the node's mount namespace, else that of process 1.
    pub fn of_node(identity: &Identity) -> io::Result<Self> {
        let own = identity.own.mnt == identity.node.mnt;
        let (path, mountinfo) =
            if own { ("/", "/proc/self/mountinfo") } else { ("/proc/1/root", "/proc/1/mountinfo") };
        Self::at(Path::new(path), Path::new(mountinfo))
    }

    /// The node's root as far as it can be told without the kernel's word: that of process 1, if it is another.
    pub fn here() -> io::Result<Self> {
        let mounts = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt"));
        let own = match (mounts("self"), mounts("1")) {
            (Ok(own), Ok(node)) => own == node,
            // Whoever may not look at process 1 has no other root than the own.
            _ => true,
        };
        let (path, mountinfo) =
            if own { ("/", "/proc/self/mountinfo") } else { ("/proc/1/root", "/proc/1/mountinfo") };
        Self::at(Path::new(path), Path::new(mountinfo))
    }

    /// The names in a directory, at most so many.
    pub fn list(&self, path: &Path, most: usize) -> io::Result<Vec<OsString>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK;
        let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let fd = unnoticed(flags, |flags| self.resolve(path, flags, how))?;
        let mut names = Vec::new();
        for entry in Dir::new(fd)?.take(most.saturating_add(2)) {
            let name = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
            if name != "." && name != ".." && names.len() < most {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The root of another process.
    pub fn of_process(pid: u32) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat2(CWD, format!("/proc/{pid}/root"), flags, Mode::empty(), ResolveFlags::empty())?;
        Ok(Self { fd, path: Path::new("/"), mountinfo: Path::new("/proc/self/mountinfo") })
    }

    fn at(path: &'static Path, mountinfo: &'static Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::empty())?;
        Ok(Self { fd, path, mountinfo })
    }

    /// The same root for another thread.
    pub fn try_clone(&self) -> io::Result<Self> {
        let Self { fd, path, mountinfo } = self;
        Ok(Self { fd: fd.try_clone()?, path, mountinfo })
    }

    /// Another directory as the root, for tests.
    #[cfg(test)]
    pub(crate) fn at_dir(path: &Path) -> io::Result<Self> {
        Ok(Self {
            fd: File::open(path)?.into(),
            path: Path::new("/"),
            mountinfo: Path::new("/proc/self/mountinfo"),
        })
    }

    /// Opens a path of the node.
    pub fn open(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        self.resolve(path, flags, ResolveFlags::IN_ROOT)
    }

    /// Reads a regular file of the node that is no link, and not larger than so many bytes.
    pub fn read(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        self.read_with(path, OFlags::NOFOLLOW, most)
    }

    /// The same, but symbolic links inside the root are followed.
    pub fn read_linked(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        self.read_with(path, OFlags::empty(), most)
    }

    fn read_with(&self, path: &Path, flags: OFlags, most: u64) -> io::Result<Vec<u8>> {
        // Nobody waits for a pipe that another put there.
        let flags = flags | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let file = File::from(unnoticed(flags, |flags| self.resolve(path, flags, how))?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let mut bytes = Vec::new();
        file.take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(io::Error::other(format!("larger than {most} bytes")));
        }
        Ok(bytes)
    }

    fn resolve(&self, path: &Path, flags: OFlags, how: ResolveFlags) -> io::Result<OwnedFd> {
        let relative = path.strip_prefix("/").unwrap_or(path);
        let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
        Ok(openat2(&self.fd, relative, flags | OFlags::CLOEXEC, Mode::empty(), how)?)
    }

    /// A whole path of the daemon's own, as one inside the root.
    pub fn inside(&self, real: &Path) -> Option<PathBuf> {
        let root = canonical(&self.fd).ok()?;
        let rest = real.strip_prefix(&root).ok()?;
        Some(Path::new("/").join(rest))
    }

    /// Where the daemon finds the root itself, to join fixed paths to.
    pub fn path(&self) -> &Path {
        self.path
    }

    /// The list of the node's mounts; waiting for it is waiting for a change.
    pub fn mountinfo(&self) -> &Path {
        self.mountinfo
    }
}

/// Opens without a trace in the file's time of access, which tells an investigator who else read it; only the owner of a file
/// and root may.
pub fn unnoticed<E: Into<io::Error>>(
    flags: OFlags,
    open: impl Fn(OFlags) -> Result<OwnedFd, E>,
) -> io::Result<OwnedFd> {
    match open(flags | OFlags::NOATIME).map_err(Into::into) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => open(flags).map_err(Into::into),
        opened => opened,
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
