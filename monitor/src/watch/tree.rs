//! Arming a directory: the directory itself, and every file in it by its object, so that a second name elsewhere is the same
//! file.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use monitor_abi::watch::{TREE_DEPTH, WATCH_SELF, WATCH_TREE};
use rustix::fs::{Dir, FileType, OFlags};

use super::arm::{Arming, kind, not_seen};
use super::notice::{Interest, Notice};
use super::plan::State;
use crate::access::ObjectKey;
use crate::glob::Pattern;
use crate::kernel::LoadError;
use crate::kernel::listen::Mark;

/// Files of one directory that are known by their object; more are still seen through the directory.
const FILES_MAX: usize = 1024;

/// Directories beneath one target in which a new file is noticed at once; in more, at the next rescan.
const DIRECTORIES_MAX: usize = 64;

/// What a walk through a directory looks for.
struct Walk<'a> {
    base: &'a Path,
    pattern: Option<&'a Pattern>,
    /// How many more files that fit can be known by their object.
    room: usize,
    /// How many more that do not.
    others: usize,
    directories: usize,
}

impl Arming<'_> {
    /// A directory and everything in it, or what fits a pattern.
    pub(super) fn tree(&mut self, base: &Path, pattern: Option<&Pattern>) -> Result<State, LoadError> {
        let (dir, keys) = match self.base(base)? {
            Ok(found) => found,
            Err(state) => return Ok(state),
        };
        let mut walk =
            Walk { base, pattern, room: FILES_MAX, others: FILES_MAX, directories: DIRECTORIES_MAX };
        let depth = pattern.map_or(TREE_DEPTH, Pattern::depth);
        self.directory(base, (dir, keys), depth, &mut walk)?;
        if walk.room == 0 {
            tracing::warn!(path = %base.display(), limit = FILES_MAX, "too many files to know each by its object");
        }
        Ok(State::Armed)
    }

    /// The directory of a target itself.
    pub(super) fn base(
        &mut self,
        base: &Path,
    ) -> Result<Result<(OwnedFd, Vec<ObjectKey>), State>, LoadError> {
        let (fd, keys) = self.touch(base, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let dir = match fd {
            Ok(fd) if !keys.is_empty() => fd,
            Ok(_) => return Ok(Err(not_seen())),
            Err(error) => return Ok(Err(State::Waiting(error.to_string()))),
        };
        for key in &keys {
            self.plan.object(*key, self.id, WATCH_TREE);
            self.plan.paths.entry(*key).or_insert_with(|| base.to_owned());
        }
        self.plan.id(&dir, &keys);
        Ok(Ok((dir, keys)))
    }

    /// Links are followed: what they lead to is what is read through them.
    fn directory(
        &mut self,
        path: &Path,
        (dir, keeps): (OwnedFd, Vec<ObjectKey>),
        depth: u32,
        walk: &mut Walk<'_>,
    ) -> Result<(), LoadError> {
        let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
        let names = path.strip_prefix(walk.base).map_or(0, |names| names.components().count());
        let mark = Mark::Tree { target: self.id, depth: u32::try_from(names).unwrap_or(0) };
        self.listen(&dir, path, mark);
        let entries = match Dir::read_from(&dir) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot list");
                return Ok(());
            }
        };
        if let Some(left) = walk.directories.checked_sub(1) {
            walk.directories = left;
            self.plan.notices.push(Notice { fd: dir, interest: Interest::Any, keeps });
        }
        for entry in entries.flatten() {
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                self.entry(&path.join(name), depth, walk)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, depth: u32, walk: &mut Walk<'_>) -> Result<(), LoadError> {
        let Ok(fd) = self.root.open(path, OFlags::PATH) else { return Ok(()) };
        match kind(&fd) {
            Ok(FileType::RegularFile) => self.file(path, walk),
            Ok(FileType::Directory) => {
                match self.root.open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW) {
                    Ok(dir) => self.directory(path, (dir, Vec::new()), depth, walk),
                    Err(_) => Ok(()),
                }
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Where a file that does not fit the pattern is, is worth knowing too: under another name it is not taken for one that does.
    fn file(&mut self, path: &Path, walk: &mut Walk<'_>) -> Result<(), LoadError> {
        let below = path.strip_prefix(walk.base).unwrap_or(path);
        let fits = walk.pattern.is_none_or(|pattern| pattern.fits(below));
        let room = if fits { &mut walk.room } else { &mut walk.others };
        let Some(left) = room.checked_sub(1) else { return Ok(()) };
        *room = left;
        let (opened, keys) = self.touch(path, OFlags::RDONLY | OFlags::NONBLOCK)?;
        if let Ok(opened) = &opened {
            self.plan.id(opened, &keys);
            if fits {
                self.listen(opened, path, Mark::File { target: self.id });
            }
        }
        for key in keys {
            if fits {
                self.plan.object(key, self.id, WATCH_SELF);
            }
            self.plan.paths.entry(key).or_insert_with(|| path.to_owned());
        }
        Ok(())
    }
}
