//! Events in a file. It is rotated by size, by us or by somebody else, and no name in its directory leads us anywhere else: files
//! are opened without following links.

mod series;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, CWD, Mode, OFlags, Stat};
use rustix::io::Errno;
use thiserror::Error;

use self::series::Series;

#[derive(Debug, Error)]
#[error("cannot write to {}: {why}; name a regular file or one that does not exist yet", .path.display())]
pub struct SinkError {
    path: PathBuf,
    why: String,
}

impl SinkError {
    pub(crate) fn new(path: &Path, why: String) -> Self {
        Self { path: path.to_owned(), why }
    }
}

/// When to begin a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// No file gets larger, unless no other can be made.
    pub max_size: u64,
    /// How many old files there are at most.
    pub keep: u32,
}

#[derive(Debug)]
pub struct OutputFile {
    /// For messages.
    path: PathBuf,
    directory: OwnedFd,
    /// Of the file that is written to.
    name: OsString,
    file: File,
    rotated: Option<(u64, Series)>,
    /// What is written would be lost: the file has no name any more, and there is no other.
    gone: bool,
    /// Said once until it is over.
    complained: bool,
}

impl OutputFile {
    /// Appends to a file that only its owner can read, if it is ours to make.
    pub fn open(path: &Path, rotation: Option<Rotation>) -> Result<Self, SinkError> {
        let failed = |why: String| SinkError::new(path, why);
        let name = path.file_name().ok_or_else(|| failed("it has no name".to_owned()))?.to_owned();
        let parent = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = fs::openat(CWD, parent, flags, Mode::empty()).map_err(|errno| failed(text(errno)))?;
        let rotated = rotation.map(|rotation| (rotation.max_size, Series::new(&name, rotation.keep)));
        let (name, file) = match &rotated {
            Some((_, series)) => series.latest(&directory).map_err(failed)?,
            None => {
                series::remove_link(&directory, &name).map_err(failed)?;
                open(&directory, &name).map(|file| (name, file)).map_err(failed)?
            }
        };
        let path = path.to_owned();
        Ok(Self { path, directory, name, file, rotated, gone: false, complained: false })
    }

    /// Called before whole events of that many bytes are written: begins a new file if they do not fit into the old one, or if
    /// somebody renamed or removed that.
    pub(super) fn make_ready(&mut self, bytes: u64) {
        let Ok(own) = fs::fstat(&self.file) else { return };
        let there = fs::statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW);
        if !there.is_ok_and(|there| is_same(&there, &own)) {
            return self.renew(own.st_nlink > 0);
        }
        self.gone = false;
        let size = u64::try_from(own.st_size).unwrap_or_default();
        let Some((max_size, series)) = &self.rotated else { return };
        if size > 0 && size.saturating_add(bytes) > *max_size {
            match series.next(&self.directory, &self.name) {
                Ok(next) => self.take(next),
                Err(why) => self.complain("cannot be rotated", &why),
            }
        }
    }

    /// Opens what is at our path now, or makes it. If that fails, the old file does for as long as anybody can find it.
    fn renew(&mut self, has_name: bool) {
        let next = match &self.rotated {
            Some((_, series)) => series.next(&self.directory, &self.name),
            None => open(&self.directory, &self.name).map(|file| (self.name.clone(), file)),
        };
        match next {
            Ok(next) => self.take(next),
            Err(why) => {
                self.gone = !has_name;
                self.complain("is gone and cannot be made anew", &why);
            }
        }
    }

    fn take(&mut self, (name, file): (OsString, File)) {
        (self.name, self.file) = (name, file);
        self.gone = false;
        self.complained = false;
    }

    fn complain(&mut self, what: &str, why: &str) {
        if !self.complained {
            self.complained = true;
            tracing::error!("{} {what}: {why}", self.path.display());
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.gone { Err(io::ErrorKind::NotFound.into()) } else { self.file.write(bytes) }
    }
}

fn open(directory: &OwnedFd, name: &OsStr) -> Result<File, String> {
    open_with(directory, name, OFlags::empty())
}

fn open_new(directory: &OwnedFd, name: &OsStr) -> Result<File, String> {
    open_with(directory, name, OFlags::EXCL)
}

fn open_with(directory: &OwnedFd, name: &OsStr, more: OFlags) -> Result<File, String> {
    // A pipe would wait for its reader.
    let flags = OFlags::WRONLY
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::CLOEXEC
        | more;
    let file = fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR).map_err(|errno| match errno {
        Errno::LOOP => "it is a symbolic link".to_owned(),
        errno => text(errno),
    })?;
    let file = File::from(file);
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    match (metadata.is_file(), metadata.nlink()) {
        (false, _) => Err("it is not a regular file".to_owned()),
        // A hard link leads elsewhere, too.
        (true, 2..) => Err("it has another name (a hard link)".to_owned()),
        (true, _) => Ok(file),
    }
}

fn is_same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

fn text(errno: Errno) -> String {
    io::Error::from(errno).to_string()
}

#[cfg(test)]
mod tests;
