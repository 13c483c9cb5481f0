//! Which directories and files fanotify is asked about, and what each of them means.

use std::collections::HashMap;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::fstat;

use super::groups::Groups;
use super::sys::{self, Handle};
use crate::access::ObjectKey;
use crate::node::root::magic_link;

/// Marks of files that are watched no longer. There is no path to end them by, so from this many on all are made anew.
const LEFT_MAX: usize = 4096;

/// Changes of entries of a directory.
const ENTRIES: u64 = libc::FAN_CREATE | libc::FAN_DELETE | libc::FAN_ONDIR | libc::FAN_EVENT_ON_CHILD;
/// Before Linux 5.17 a rename is two events.
const MOVES: u64 = libc::FAN_MOVED_FROM | libc::FAN_MOVED_TO;
const ITSELF: u64 = libc::FAN_MOVE_SELF | libc::FAN_DELETE_SELF | libc::FAN_ONDIR;

/// Why an object is marked.
#[derive(Clone, Copy, Debug)]
pub enum Mark<'a> {
    /// A directory of a target, so many names below the target's path.
    Tree { target: u32, depth: u32 },
    /// A directory in which a name is a target.
    Name { target: u32, name: &'a OsStr },
    /// A file of a target, whatever name it is changed by.
    File { target: u32 },
    /// A directory above a target.
    Above { target: u32, key: ObjectKey },
}

#[derive(Debug, Default)]
pub(super) struct Marked {
    /// On the node.
    pub path: PathBuf,
    pub tree: Option<(u32, u32)>,
    pub names: HashMap<OsString, u32>,
    pub file: Option<u32>,
    pub above: Option<(u32, ObjectKey)>,
    pub attributes: Option<Attributes>,
    generation: u64,
}

/// What a change of attributes can be told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    pub ino: u64,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub links: libc::nlink_t,
}

impl Attributes {
    pub fn of(fd: &OwnedFd) -> io::Result<Self> {
        let stat = fstat(fd)?;
        Ok(Self {
            ino: stat.st_ino,
            mode: stat.st_mode,
            uid: stat.st_uid,
            gid: stat.st_gid,
            links: stat.st_nlink,
        })
    }
}

#[derive(Debug)]
pub(super) struct Marks {
    known: HashMap<Handle, Marked>,
    /// Attributes seen since the last look at the node.
    fresh: HashMap<Handle, Attributes>,
    generation: u64,
    renames: u64,
    left: usize,
    /// What could not be marked, and why.
    failed: HashMap<PathBuf, String>,
}

impl Default for Marks {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            fresh: HashMap::new(),
            generation: 0,
            renames: libc::FAN_RENAME,
            left: 0,
            failed: HashMap::new(),
        }
    }
}

impl Marks {
    /// What is added from now on is all that is marked at the end.
    pub fn begin(&mut self, groups: &mut Groups) {
        self.generation += 1;
        self.failed.clear();
        if self.left > LEFT_MAX {
            match groups.flush() {
                Ok(()) => self.left = 0,
                Err(error) => tracing::warn!(%error, "cannot end marks of fanotify"),
            }
        }
    }

    pub fn end(&mut self) {
        let before = self.known.len();
        // What was told of the others may not have been read yet.
        self.known.retain(|_, marked| marked.generation + 1 >= self.generation);
        self.left += before - self.known.len();
        self.fresh.clear();
    }

    /// `size`: whether changes of the size of files matter, which are told with every write.
    pub fn add(&mut self, groups: &mut Groups, fd: &OwnedFd, path: &Path, mark: Mark<'_>, size: bool) {
        if let Err(error) = self.try_add(groups, fd, path, mark, size) {
            tracing::debug!(path = %path.display(), %error, "fanotify cannot watch");
            self.failed.entry(path.to_owned()).or_insert_with(|| error.to_string());
        }
    }

    fn try_add(
        &mut self,
        groups: &mut Groups,
        fd: &OwnedFd,
        path: &Path,
        mark: Mark<'_>,
        size: bool,
    ) -> io::Result<()> {
        let link = CString::new(magic_link(fd).into_os_string().as_bytes())?;
        let written = if size { libc::FAN_MODIFY } else { 0 };
        let mask = |renames: u64| match mark {
            Mark::Tree { .. } => ENTRIES | renames | libc::FAN_ATTRIB | written,
            Mark::Name { .. } => ENTRIES | renames | libc::FAN_ATTRIB,
            Mark::File { .. } => libc::FAN_ATTRIB | written,
            Mark::Above { .. } => ITSELF,
        };
        let handle = sys::handle(fd.as_fd())?;
        match groups.mark(handle.file_system, mask(self.renames), &link) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) && self.renames != MOVES => {
                groups.mark(handle.file_system, mask(MOVES), &link)?;
                self.renames = MOVES;
            }
            result => result?,
        }
        // Not as it is now: a change may be on its way, and is told by the difference.
        let before = self.fresh.get(&handle).copied();
        let marked = self.known.entry(handle).or_default();
        let before = before.or(marked.attributes);
        if marked.generation != self.generation {
            *marked = Marked { path: path.to_owned(), generation: self.generation, ..Marked::default() };
        }
        match mark {
            Mark::Tree { target, depth } => _ = marked.tree.get_or_insert((target, depth)),
            Mark::Name { target, name } => _ = marked.names.entry(name.to_owned()).or_insert(target),
            Mark::Above { target, key } => _ = marked.above.get_or_insert((target, key)),
            Mark::File { target } => {
                marked.file.get_or_insert(target);
                marked.attributes = before.or_else(|| Attributes::of(fd).ok());
            }
        }
        Ok(())
    }

    /// A file was found there: it may be known by a path that it had before.
    pub fn found(&mut self, fd: &OwnedFd, path: &Path) {
        let marked = sys::handle(fd.as_fd()).ok().and_then(|handle| self.known.get_mut(&handle));
        if let Some(marked) = marked.filter(|marked| marked.file.is_some()) {
            path.clone_into(&mut marked.path);
        }
    }

    pub fn get(&self, handle: &Handle) -> Option<&Marked> {
        self.known.get(handle)
    }

    /// Notes the attributes that an object has now, and returns those it had.
    pub fn noted(&mut self, handle: &Handle, now: Attributes) -> Option<Attributes> {
        let known = self.known.get(handle).and_then(|marked| marked.attributes);
        self.fresh.insert(handle.clone(), now).or(known)
    }

    /// What is not heard of.
    pub fn failed(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.failed.iter().map(|(path, why)| (path.as_path(), why.as_str()))
    }
}
