//! Where events go.

use std::io::{self, Stdout, Write};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::file::{OutputFile, Rotation, SinkError};

pub enum Sink {
    Stdout(Stdout),
    File(Box<OutputFile>),
    /// Somebody in the daemon itself.
    Other(Box<dyn Write + Send>),
}

impl Sink {
    pub fn stdout() -> Self {
        Self::Stdout(io::stdout())
    }

    /// A symbolic link is refused: it may lead anywhere.
    pub fn file(path: &Path, rotation: Option<Rotation>) -> Result<Self, SinkError> {
        Ok(Self::File(Box::new(OutputFile::open(path, rotation)?)))
    }

    /// Called before whole events of that many bytes are written.
    pub(super) fn make_ready(&mut self, bytes: usize) {
        if let Self::File(file) = self {
            file.make_ready(bytes as u64);
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            // Not through the standard library's buffer, which may call a line written that it only keeps.
            Self::Stdout(stdout) => Ok(write_patiently(stdout, bytes)?),
            Self::File(file) => file.write(bytes),
            Self::Other(other) => other.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(_) | Self::File(_) => Ok(()),
            Self::Other(other) => other.flush(),
        }
    }
}

/// Whoever shares our output may have made it non-blocking; that is no reason to lose events.
fn write_patiently(out: impl AsFd, bytes: &[u8]) -> rustix::io::Result<usize> {
    loop {
        match rustix::io::write(&out, bytes) {
            Err(Errno::AGAIN) => match poll(&mut [PollFd::new(&out, PollFlags::OUT)], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            },
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::thread;

    use super::*;

    #[test]
    fn a_file_is_its_owners_and_is_appended_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        for _ in 0..2 {
            Sink::file(&path, None).unwrap().write_all(b"line\n").unwrap();
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"line\nline\n");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    }

    #[test]
    fn what_is_no_file_is_refused_in_a_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let [link, fifo, missing] = ["link", "fifo", "missing/file"].map(|name| dir.path().join(name));
        symlink("/dev/null", &link).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
            .unwrap();
        let cases = [
            (dir.path(), "Is a directory"),
            (&link, "it is a symbolic link"),
            // Nobody reads it, and waiting for a reader would hang the start.
            (&fifo, "No such device or address"),
            (Path::new("/dev/null"), "it is not a regular file"),
            (&missing, "No such file or directory"),
        ];
        for (path, why) in cases {
            let error = Sink::file(path, None).err().unwrap().to_string();
            assert!(error.starts_with(&format!("cannot write to {}: {why}", path.display())), "{error}");
        }
    }

    #[test]
    fn a_full_pipe_that_does_not_block_is_waited_for() {
        let (mut read, write) = io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&write, true).unwrap();
        while rustix::io::write(&write, &[b'x'; 4096]).is_ok() {}
        let (tell, told) = std::sync::mpsc::channel();
        let writer = thread::spawn(move || {
            tell.send(rustix::thread::gettid()).unwrap();
            write_patiently(&write, b"last")
        });
        let stat = format!("/proc/self/task/{}/stat", told.recv().unwrap().as_raw_nonzero());
        // The pipe does not block, so a writer that sleeps waits for room as it should.
        while !writer.is_finished() && !std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") S "))
        {
            thread::yield_now();
        }
        let mut text = String::new();
        read.read_to_string(&mut text).unwrap();
        assert_eq!(writer.join().unwrap(), Ok(4));
        assert!(text.ends_with("xlast"));
    }
}
