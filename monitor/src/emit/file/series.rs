//! The files of an output that is rotated: FILE.000001, FILE.000002 and so on, of which the one with the highest number is written to. None
//! is ever renamed, because a shipper that reads many files by their names may read one twice that gets another name meanwhile. FILE is a link
//! to the latest, for people.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{self, AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::{open, open_new, text};

/// Whoever puts a date behind a name uses more digits.
const NUMBER_MAX: u64 = 9_999_999;

#[derive(Debug)]
pub(super) struct Series {
    /// FILE, in its directory.
    name: OsString,
    /// How many are kept beside the latest.
    keep: u32,
}

impl Series {
    pub(super) fn new(name: &OsStr, keep: u32) -> Self {
        Self { name: name.to_owned(), keep }
    }

    /// The latest file, to go on with, or a first one. What has the plain name is the latest from now on.
    pub(super) fn latest(&self, directory: &OwnedFd) -> Result<(OsString, File), String> {
        let latest = self.numbers(directory)?.last().copied();
        let going_on = latest.and_then(|latest| {
            let name = self.numbered(latest);
            open(directory, &name).ok().map(|file| (name, file))
        });
        if let Some((_, file)) = &going_on {
            claim(file)?;
        }
        match fs::statat(directory, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                let (own, file) = (self.after(latest)?, open(directory, &self.name)?);
                claim(&file)?;
                match fs::renameat_with(directory, &self.name, directory, &own, RenameFlags::NOREPLACE) {
                    // NFS has no such renaming.
                    Err(Errno::INVAL) => fs::renameat(directory, &self.name, directory, &own),
                    renamed => renamed,
                }
                .map_err(text)?;
                return Ok(self.begin(directory, own, file));
            }
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink => {
                return Err("it is not a regular file".to_owned());
            }
            Ok(_) | Err(_) => {}
        }
        match going_on {
            Some((name, file)) => Ok(self.begin(directory, name, file)),
            None => self.next(directory, &self.name),
        }
    }

    /// A new file after that one, which may be gone.
    pub(super) fn next(&self, directory: &OwnedFd, own: &OsStr) -> Result<(OsString, File), String> {
        let latest = self.numbers(directory)?.last().copied().max(self.number(own.as_bytes()));
        let name = self.after(latest)?;
        // Before, so that a full disk has room again.
        if let Err(why) = self.leave(directory, self.keep.max(1)) {
            tracing::warn!("old files of {} cannot be removed: {why}", self.name.display());
        }
        let file = open_new(directory, &name)?;
        claim(&file)?;
        Ok(self.begin(directory, name, file))
    }

    fn after(&self, latest: Option<u64>) -> Result<OsString, String> {
        let next = latest.unwrap_or(0) + 1;
        if next <= NUMBER_MAX { Ok(self.numbered(next)) } else { Err("there is no higher number".to_owned()) }
    }

    /// What cannot be done beside it is tried again the next time.
    fn begin(&self, directory: &OwnedFd, name: OsString, file: File) -> (OsString, File) {
        if let Err(why) = self.leave(directory, self.keep.saturating_add(1)) {
            tracing::warn!("old files of {} cannot be removed: {why}", self.name.display());
        }
        if let Err(errno) = self.link(directory, &name) {
            tracing::warn!(
                "{} cannot be made a link to {}: {}",
                self.name.display(),
                name.display(),
                text(errno)
            );
        }
        (name, file)
    }

    /// So many are left, the latest.
    fn leave(&self, directory: &OwnedFd, count: u32) -> Result<(), String> {
        let numbers = self.numbers(directory)?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let mut result = Ok(());
        for number in &numbers[..numbers.len().saturating_sub(count)] {
            match fs::unlinkat(directory, self.numbered(*number), AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => result = Err(text(errno)),
            }
        }
        result
    }

    /// Replaces a link that is there, and never follows it. Anything else there is not ours.
    fn link(&self, directory: &OwnedFd, to: &OsStr) -> Result<(), Errno> {
        match fs::statat(directory, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {}
            Ok(_) => return Err(Errno::EXIST),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        // No pattern of a shipper's for the numbered ones fits it.
        let mut new = OsString::from(".");
        new.push(&self.name);
        new.push(".link");
        match fs::unlinkat(directory, &new, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        fs::symlinkat(to, directory, &new)?;
        fs::renameat(directory, &new, directory, &self.name)
    }

    fn numbered(&self, number: u64) -> OsString {
        let mut name = self.name.clone();
        name.push(format!(".{number:06}"));
        name
    }

    /// In order.
    fn numbers(&self, directory: &OwnedFd) -> Result<Vec<u64>, String> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let listed = fs::openat(directory, ".", flags, Mode::empty()).and_then(Dir::new);
        let mut numbers = Vec::new();
        for entry in listed.map_err(text)? {
            numbers.extend(self.number(entry.map_err(text)?.file_name().to_bytes()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn number(&self, name: &[u8]) -> Option<u64> {
        let digits = name.strip_prefix(self.name.as_bytes())?.strip_prefix(b".")?;
        let number = str::from_utf8(digits).ok()?.parse().ok().filter(|number| *number <= NUMBER_MAX)?;
        (self.numbered(number).as_bytes() == name).then_some(number)
    }
}

/// Two that write one series would remove each other's files. Where nothing can be locked, nobody is known to be there.
fn claim(file: &File) -> Result<(), String> {
    match fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Err("another process writes and rotates it".to_owned()),
        Err(errno) => {
            tracing::debug!(%errno, "cannot lock an output");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Makes room for a plain file where an output that was rotated left its link.
pub(super) fn remove_link(directory: &OwnedFd, name: &OsStr) -> Result<(), String> {
    let series = Series::new(name, 0);
    let Ok(to) = fs::readlinkat(directory, name, Vec::new()) else { return Ok(()) };
    if series.number(to.as_bytes()).is_none() {
        return Ok(());
    }
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    if let Ok(file) = fs::openat(directory, OsStr::from_bytes(to.as_bytes()), flags, Mode::empty()) {
        claim(&File::from(file))?;
    }
    // If it stays, to open it says why.
    let _stays = fs::unlinkat(directory, name, AtFlags::empty());
    Ok(())
}
