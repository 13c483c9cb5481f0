//! Where events go.

use std::fs::{File, OpenOptions};
use std::io::{self, Stdout, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub enum Sink {
    Stdout(Stdout),
    File(File),
    #[cfg(test)]
    Test(Box<dyn Write + Send>),
}

#[derive(Debug, Error)]
#[error("cannot write to {}: {why}; name a regular file or one that does not exist yet", .path.display())]
pub struct SinkError {
    path: PathBuf,
    why: String,
}

impl Sink {
    pub fn stdout() -> Self {
        Self::Stdout(io::stdout())
    }

    /// Appends to a file that only its owner can read. A symbolic link is refused: it may lead anywhere.
    pub fn file(path: &Path) -> Result<Self, SinkError> {
        let failed = |why: String| SinkError { path: path.to_owned(), why };
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)
            .map_err(|error| match error.raw_os_error() {
                Some(libc::ELOOP) => failed("it is a symbolic link".to_owned()),
                _ => failed(error.to_string()),
            })?;
        let metadata = file.metadata().map_err(|error| failed(error.to_string()))?;
        if metadata.is_file() {
            Ok(Self::File(file))
        } else {
            Err(failed("it is not a regular file".to_owned()))
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::File(file) => file.write(bytes),
            #[cfg(test)]
            Self::Test(test) => test.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File(file) => file.flush(),
            #[cfg(test)]
            Self::Test(test) => test.flush(),
        }
    }
}
