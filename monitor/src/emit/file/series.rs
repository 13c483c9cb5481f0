//! The files of an output that is rotated: FILE.000001, FILE.000002 and so on, of which the one with the highest number is written to. None
//! is ever renamed, because a shipper that reads many files by their names may read one twice that gets another name meanwhile. FILE is a link
//! to the latest, for people.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{open, open_new, text};

/// Of the numbers that are looked at, so that somebody else's name does not end the series.
const DIGITS_MAX: usize = 12;

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
        match fs::statat(directory, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                let own = self.numbered(latest.unwrap_or(0) + 1);
                let flags = fs::RenameFlags::NOREPLACE;
                fs::renameat_with(directory, &self.name, directory, &own, flags).map_err(text)?;
                let file = open(directory, &own)?;
                return Ok(self.begin(directory, own, file));
            }
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink => {
                return Err("it is not a regular file".to_owned());
            }
            Ok(_) | Err(_) => {}
        }
        if let Some(latest) = latest.map(|latest| self.numbered(latest))
            && let Ok(file) = open(directory, &latest)
        {
            return Ok(self.begin(directory, latest, file));
        }
        self.next(directory, &self.name)
    }

    /// A new file after that one, which may be gone.
    pub(super) fn next(&self, directory: &OwnedFd, own: &OsStr) -> Result<(OsString, File), String> {
        let latest = self.numbers(directory)?.last().copied().max(self.number(own.as_bytes()));
        let name = self.numbered(latest.unwrap_or(0) + 1);
        let file = open_new(directory, &name)?;
        Ok(self.begin(directory, name, file))
    }

    /// What cannot be done beside it is tried again the next time.
    fn begin(&self, directory: &OwnedFd, name: OsString, file: File) -> (OsString, File) {
        if let Err(why) = self.leave_the_latest(directory) {
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

    fn leave_the_latest(&self, directory: &OwnedFd) -> Result<(), String> {
        let numbers = self.numbers(directory)?;
        let kept = usize::try_from(self.keep).unwrap_or(usize::MAX).saturating_add(1);
        let old = &numbers[..numbers.len().saturating_sub(kept)];
        old.iter()
            .try_for_each(|number| fs::unlinkat(directory, self.numbered(*number), AtFlags::empty()))
            .map_err(text)
    }

    /// Replaces a link that is there, and never follows it.
    fn link(&self, directory: &OwnedFd, to: &OsStr) -> Result<(), Errno> {
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
        let are_digits = digits.iter().all(u8::is_ascii_digit) && (6..=DIGITS_MAX).contains(&digits.len());
        are_digits.then(|| str::from_utf8(digits).ok()?.parse().ok()).flatten()
    }
}
