//! Arming one target: touch its object, take the keys the hooks saw, watch those.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use monitor_abi::watch::WATCH_SELF;
use rustix::fs::{FileType, OFlags, fstat};

use super::notice::{Interest, Notice};
use super::plan::{Plan, State};
use crate::access::ObjectKey;
use crate::glob::Pattern;
use crate::kernel::listen::Mark;
use crate::kernel::{Kernel, LoadError};
use crate::node::Root;
use crate::node::root::canonical;

pub(super) struct Arming<'a> {
    pub kernel: &'a mut Kernel,
    pub root: &'a Root,
    pub plan: &'a mut Plan,
    pub id: u32,
    /// Whether it matters that a file is cut.
    pub contents: bool,
}

impl Arming<'_> {
    /// A file, or a directory and everything in it.
    pub fn path(&mut self, path: &Path) -> Result<State, LoadError> {
        let opened = match self.look(path)? {
            Ok(fd) => fd,
            Err(state) => return Ok(state),
        };
        match kind(&opened) {
            Ok(FileType::RegularFile) => self.regular(path),
            Ok(FileType::Directory) => self.tree(path, None),
            Ok(other) => Ok(State::Waiting(format!("is {}, not a file or a directory", describe(other)))),
            Err(error) => Ok(State::Waiting(error.to_string())),
        }
    }

    /// The files below a directory that fit a pattern. Which of the others are used is heard, and dropped later.
    pub fn glob(&mut self, base: &Path, pattern: &Pattern) -> Result<State, LoadError> {
        let opened = match self.look(base)? {
            Ok(fd) => fd,
            Err(state) => return Ok(state),
        };
        match wrong_type(&opened, FileType::Directory, "a directory") {
            Some(state) => Ok(state),
            None => self.tree(base, Some(pattern)),
        }
    }

    /// By its object; what takes its name later is watched by the name.
    fn regular(&mut self, path: &Path) -> Result<State, LoadError> {
        let (opened, keys) = self.touch(path, OFlags::RDONLY | OFlags::NONBLOCK)?;
        Ok(match opened {
            Ok(opened) => self.known(path, opened, keys),
            Err(error) => State::Waiting(error.to_string()),
        })
    }

    /// Watches these objects for themselves.
    pub(super) fn known(&mut self, path: &Path, fd: OwnedFd, keys: Vec<ObjectKey>) -> State {
        if keys.is_empty() {
            return not_seen();
        }
        for key in &keys {
            self.plan.object(*key, self.id, WATCH_SELF);
            self.plan.paths.entry(*key).or_insert_with(|| path.to_owned());
        }
        self.plan.id(&fd, &keys);
        self.listen(&fd, path, Mark::File { target: self.id });
        self.plan.notices.push(Notice { fd, interest: Interest::Itself, keeps: keys });
        State::Armed
    }

    /// What has the path now; its name is watched from then on, whatever has it.
    pub(super) fn look(&mut self, path: &Path) -> Result<Result<OwnedFd, State>, LoadError> {
        self.keep_place(path)?;
        let opened = match self.root.open(path, OFlags::PATH) {
            Ok(fd) => fd,
            Err(error) => return Ok(Err(self.absent(path, &error)?)),
        };
        self.keep_real_place(path, &opened)?;
        Ok(Ok(opened))
    }

    /// Watches the name where the path says it is, whether something has it now or not: the very first use of what takes the
    /// name is matched. It comes before any look at the object, which may go at any moment.
    fn keep_place(&mut self, path: &Path) -> Result<(), LoadError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
        for above in parent.ancestors().filter(|above| above.parent().is_some()) {
            let (fd, keys) = self.touch(above, OFlags::RDONLY | OFlags::DIRECTORY)?;
            if let (Ok(fd), Some(key)) = (&fd, keys.first()) {
                self.listen(fd, above, Mark::Above { target: self.id, key: *key });
            }
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
        self.listen(&fd, parent, Mark::Name { target: self.id, name });
        self.plan.notices.push(Notice { fd, interest: Interest::name(name), keeps: Vec::new() });
        Ok(())
    }

    /// The same where the object really is, when the path leads there by a symbolic link.
    fn keep_real_place(&mut self, path: &Path, object: &OwnedFd) -> Result<(), LoadError> {
        match canonical(object) {
            Ok(real) if real != path => {
                self.keep_place(&real)?;
                self.plan.real.insert(self.id, real);
                Ok(())
            }
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

    /// Asks to be told of what hooks may not see.
    pub(super) fn listen(&mut self, fd: &OwnedFd, path: &Path, mark: Mark<'_>) {
        self.kernel.listener_mut().mark(fd, path, mark, self.contents);
    }

    /// Opens a path of the node and returns what the hooks saw.
    pub(super) fn touch(
        &mut self,
        path: &Path,
        flags: OFlags,
    ) -> Result<(io::Result<OwnedFd>, Vec<ObjectKey>), LoadError> {
        let Self { kernel, root, plan, .. } = self;
        let (fd, answer) = kernel.probe(|| root.open(path, flags))?;
        let keys = plan.note(fd.as_ref().ok(), &answer);
        Ok((fd, keys))
    }
}

pub(super) fn kind(fd: &OwnedFd) -> io::Result<FileType> {
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode))
}

pub(super) fn wrong_type(fd: &OwnedFd, wanted: FileType, name: &str) -> Option<State> {
    let found = match kind(fd) {
        Ok(found) => found,
        Err(error) => return Some(State::Waiting(error.to_string())),
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

pub(super) fn not_seen() -> State {
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
