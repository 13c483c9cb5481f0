//! Arming one target: touch its object, take the keys the hooks saw, watch those.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use monitor_abi::watch::{TREE_DEPTH, WATCH_SELF, WATCH_TREE};
use rustix::fs::{Dir, FileType, OFlags, fstat};

use super::notice::{Interest, Notice};
use super::plan::{Plan, State};
use crate::access::ObjectKey;
use crate::kernel::{Kernel, LoadError};
use crate::node::Root;
use crate::node::root::canonical;

/// Files of one directory that are known by their object; more are still seen through the directory.
const FILES_MAX: usize = 1024;

pub(super) struct Arming<'a> {
    pub kernel: &'a mut Kernel,
    pub root: &'a Root,
    pub plan: &'a mut Plan,
    pub id: u32,
}

impl Arming<'_> {
    pub fn directory(&mut self, path: &Path) -> Result<State, LoadError> {
        self.keep_place(path)?;
        let opened = match self.root.open(path, OFlags::PATH) {
            Ok(fd) => fd,
            Err(error) => return self.absent(path, &error),
        };
        if let Some(state) = wrong_type(&opened, FileType::Directory, "a directory") {
            return Ok(state);
        }
        self.keep_real_place(path, &opened)?;
        let (fd, keys) = self.touch(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let dir = match fd {
            Ok(fd) if !keys.is_empty() => fd,
            Ok(_) => return Ok(not_seen()),
            Err(error) => return Ok(State::Waiting(error.to_string())),
        };
        for key in &keys {
            self.plan.object(*key, self.id, WATCH_TREE);
            self.plan.paths.insert(*key, path.to_owned());
        }
        let mut room = FILES_MAX;
        self.files(path, &dir, TREE_DEPTH, &mut room)?;
        self.plan.notices.push(Notice { fd: dir, interest: Interest::Any, keeps: keys });
        Ok(State::Armed)
    }

    pub fn socket(&mut self, path: &Path) -> Result<State, LoadError> {
        self.keep_place(path)?;
        let opened = match self.root.open(path, OFlags::PATH) {
            Ok(fd) => fd,
            Err(error) => return self.absent(path, &error),
        };
        if let Some(state) = wrong_type(&opened, FileType::Socket, "a socket") {
            return Ok(state);
        }
        self.keep_real_place(path, &opened)?;
        // A socket cannot be opened, but the attempt gets as far as the hook; after a system call there is no trace of it,
        // except of an open that asks for the path only.
        let (_, mut keys) = self.touch(path, OFlags::RDONLY | OFlags::NONBLOCK)?;
        if keys.is_empty() {
            keys = self.touch(path, OFlags::PATH)?.1;
        }
        if keys.is_empty() {
            return Ok(not_seen());
        }
        for key in &keys {
            self.plan.object(*key, self.id, WATCH_SELF);
            self.plan.paths.insert(*key, path.to_owned());
        }
        self.plan.notices.push(Notice { fd: opened, interest: Interest::Itself, keeps: keys });
        Ok(State::Armed)
    }

    /// Watches the name where the path says it is, whether something has it now or not: the very first use of what takes the
    /// name is matched. It comes before any look at the object, which may go at any moment.
    fn keep_place(&mut self, path: &Path) -> Result<(), LoadError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
        for above in parent.ancestors().filter(|above| above.parent().is_some()) {
            let (_, keys) = self.touch(above, OFlags::RDONLY | OFlags::DIRECTORY)?;
            keys.into_iter().for_each(|key| self.plan.above(key, above, self.id));
        }
        self.keep_name(parent, name)
    }

    /// Watches a name in a directory that exists.
    fn keep_name(&mut self, parent: &Path, name: &OsStr) -> Result<(), LoadError> {
        let Ok(fd) = self.root.open(parent, OFlags::PATH | OFlags::DIRECTORY) else { return Ok(()) };
        let (_, keys) = self.touch(parent, OFlags::RDONLY | OFlags::DIRECTORY)?;
        for key in keys {
            if !self.plan.name(key, name.as_bytes(), self.id) {
                tracing::warn!(name = %name.display(), "the name is too long to be watched while nothing has it");
            }
        }
        self.plan.notices.push(Notice { fd, interest: Interest::name(name), keeps: Vec::new() });
        Ok(())
    }

    /// The same where the object really is, when the path leads there by a symbolic link.
    fn keep_real_place(&mut self, path: &Path, object: &OwnedFd) -> Result<(), LoadError> {
        match canonical(object) {
            Ok(real) if real != path => self.keep_place(&real),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Watches the first name of the path that is missing: what is made there, and beneath it, is seen before the next plan.
    fn absent(&mut self, path: &Path, error: &io::Error) -> Result<State, LoadError> {
        let mut child = path;
        while let (Some(parent), Some(name)) = (child.parent(), child.file_name()) {
            if self.root.open(parent, OFlags::PATH | OFlags::DIRECTORY).is_ok() {
                self.keep_name(parent, name)?;
                self.plan.places.insert(self.id, child.to_owned());
                break;
            }
            child = parent;
        }
        Ok(State::Waiting(match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => "does not exist".to_owned(),
            _ => error.to_string(),
        }))
    }

    /// Knows every file by its object, so that a second name elsewhere is the same file. Links are followed: what they lead
    /// to is what is read through them.
    fn files(&mut self, path: &Path, dir: &OwnedFd, depth: u32, room: &mut usize) -> Result<(), LoadError> {
        let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
        let entries = match Dir::read_from(dir) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot list");
                return Ok(());
            }
        };
        for entry in entries.flatten() {
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let Some(left) = room.checked_sub(1) else {
                tracing::warn!(path = %path.display(), limit = FILES_MAX, "too many files to know each by its object");
                return Ok(());
            };
            *room = left;
            self.file(&path.join(name), depth, room)?;
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, depth: u32, room: &mut usize) -> Result<(), LoadError> {
        let Ok(fd) = self.root.open(path, OFlags::PATH) else { return Ok(()) };
        let Ok(stat) = fstat(&fd) else { return Ok(()) };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let (_, keys) = self.touch(path, OFlags::RDONLY | OFlags::NONBLOCK)?;
                for key in keys {
                    self.plan.object(key, self.id, WATCH_SELF);
                    self.plan.paths.entry(key).or_insert_with(|| path.to_owned());
                }
                Ok(())
            }
            FileType::Directory => {
                match self.root.open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW) {
                    Ok(dir) => self.files(path, &dir, depth, room),
                    Err(_) => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Opens a path of the node and returns what the hooks saw.
    fn touch(
        &mut self,
        path: &Path,
        flags: OFlags,
    ) -> Result<(io::Result<OwnedFd>, Vec<ObjectKey>), LoadError> {
        let Self { kernel, root, .. } = self;
        let (fd, answer) = kernel.probe(|| root.open(path, flags))?;
        Ok((fd, answer.keys))
    }
}

fn wrong_type(fd: &OwnedFd, wanted: FileType, name: &str) -> Option<State> {
    let found = match fstat(fd) {
        Ok(stat) => FileType::from_raw_mode(stat.st_mode),
        Err(error) => return Some(State::Waiting(io::Error::from(error).to_string())),
    };
    (found != wanted).then(|| State::Waiting(format!("is {}, not {name}", describe(found))))
}

fn describe(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a regular file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a fifo",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "something unknown",
    }
}

fn not_seen() -> State {
    State::Waiting("the kernel programs did not see it being opened".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_type_says_what_is_there() {
        let file: OwnedFd = tempfile::tempfile().unwrap().into();
        let state = wrong_type(&file, FileType::Socket, "a socket");
        assert_eq!(state, Some(State::Waiting("is a regular file, not a socket".to_owned())));
        assert_eq!(wrong_type(&file, FileType::RegularFile, "a file"), None);
        let _path = canonical(&file).unwrap();
    }
}
