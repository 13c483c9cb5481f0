//! Arming sockets: one by its path, or those of a directory that fit a pattern.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use monitor_abi::watch::WATCH_SELF;
use rustix::fs::{Dir, FileType, OFlags};

use super::arm::{Arming, kind, wrong_type};
use super::notice::{Interest, Notice};
use super::plan::State;
use crate::access::ObjectKey;
use crate::glob::Pattern;
use crate::kernel::LoadError;
use crate::kernel::listen::Mark;

/// Sockets of one directory that are known by their object; more are still seen through the directory.
const SOCKETS_MAX: usize = 1024;

impl Arming<'_> {
    pub fn socket(&mut self, path: &Path) -> Result<State, LoadError> {
        let opened = match self.look(path)? {
            Ok(fd) => fd,
            Err(state) => return Ok(state),
        };
        if let Some(state) = wrong_type(&opened, FileType::Socket, "a socket") {
            return Ok(state);
        }
        let keys = self.socket_keys(path)?;
        Ok(self.known(path, opened, keys))
    }

    /// The sockets in a directory that fit a pattern, and those that will be made there.
    pub fn sockets(&mut self, base: &Path, pattern: &Pattern) -> Result<State, LoadError> {
        let opened = match self.look(base)? {
            Ok(fd) => fd,
            Err(state) => return Ok(state),
        };
        if let Some(state) = wrong_type(&opened, FileType::Directory, "a directory") {
            return Ok(state);
        }
        let (dir, keeps) = match self.base(base)? {
            Ok(found) => found,
            Err(state) => return Ok(state),
        };
        self.listen(&dir, base, Mark::Tree { target: self.id, depth: 0 });
        let entries = match Dir::read_from(&dir) {
            Ok(entries) => entries,
            Err(error) => return Ok(State::Waiting(error.to_string())),
        };
        self.plan.notices.push(Notice { fd: dir, interest: Interest::Any, keeps });
        let names = entries.flatten().map(|entry| entry.file_name().to_owned());
        for name in names.filter(|name| pattern.fits(path(name))).take(SOCKETS_MAX) {
            self.one_of_many(&base.join(path(&name)))?;
        }
        Ok(State::Armed)
    }

    /// By its object, so that another name of it is known. What is none or gone by now is no target.
    fn one_of_many(&mut self, path: &Path) -> Result<(), LoadError> {
        let Ok(fd) = self.root.open(path, OFlags::PATH | OFlags::NOFOLLOW) else { return Ok(()) };
        if !matches!(kind(&fd), Ok(FileType::Socket)) {
            return Ok(());
        }
        let keys = self.socket_keys(path)?;
        for key in &keys {
            self.plan.object(*key, self.id, WATCH_SELF);
            self.plan.paths.entry(*key).or_insert_with(|| path.to_owned());
        }
        self.plan.id(&fd, &keys);
        Ok(())
    }

    /// A socket cannot be opened, but the attempt gets as far as the hook; after a system call there is no trace of it, except of an
    /// open that asks for the path only.
    fn socket_keys(&mut self, path: &Path) -> Result<Vec<ObjectKey>, LoadError> {
        let (_, keys) = self.touch(path, OFlags::RDONLY | OFlags::NONBLOCK)?;
        if keys.is_empty() { Ok(self.touch(path, OFlags::PATH)?.1) } else { Ok(keys) }
    }
}

fn path(name: &std::ffi::CStr) -> &Path {
    Path::new(OsStr::from_bytes(name.to_bytes()))
}
