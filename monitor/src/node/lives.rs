//! What becomes of the allowed executables' files. inotify knows a file for as long as it exists, also without a name, and without
//! keeping it: while its watch stands, no other file can have its number.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::root::magic_link;
use crate::access::ObjectKey;

pub struct Lives {
    fd: AsyncFd<OwnedFd>,
    watches: HashMap<i32, Vec<ObjectKey>>,
}

/// What happened since the last look.
#[derive(Debug, Default)]
pub struct Fates {
    /// Something did, so that another file may have an executable's path.
    pub any: bool,
    /// Files that are no more. Their numbers are given to others.
    pub ended: Vec<ObjectKey>,
    /// Files that have another content.
    pub written: Vec<ObjectKey>,
    /// Some of it was not told: anything may have happened.
    pub unknown: bool,
}

impl Lives {
    pub fn new() -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        // SAFETY: the descriptor is owned by the value, stays open and never changes.
        let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?;
        Ok(Self { fd, watches: HashMap::new() })
    }

    /// Follows a file from now on; says whether that is possible.
    pub fn follow(&mut self, file: &OwnedFd, keys: &[ObjectKey]) -> bool {
        let flags = WatchFlags::ATTRIB
            | WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVE_SELF
            | WatchFlags::DELETE_SELF;
        match inotify::add_watch(self.fd.get_ref(), magic_link(file), flags) {
            Ok(watch) => {
                self.watches.insert(watch, keys.to_vec());
                true
            }
            Err(error) => {
                tracing::warn!(%error, "cannot follow an allowed executable: once replaced, it is not known any more");
                false
            }
        }
    }

    /// Waits until something happens. Safe to cancel.
    pub async fn changed(&self) -> io::Result<()> {
        self.fd.readable().await.map(|mut guard| guard.clear_ready())
    }

    pub fn read(&mut self) -> Fates {
        let mut fates = Fates::default();
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(self.fd.get_ref(), &mut space);
        while let Ok(event) = reader.next() {
            let (watch, what) = (event.wd(), event.events());
            fates.any |= what != ReadFlags::MODIFY;
            if what.contains(ReadFlags::QUEUE_OVERFLOW) {
                fates.unknown = true;
            } else if what.intersects(ReadFlags::IGNORED | ReadFlags::DELETE_SELF | ReadFlags::UNMOUNT) {
                fates.ended.extend(self.watches.remove(&watch).into_iter().flatten());
            } else if what.intersects(ReadFlags::MODIFY | ReadFlags::CLOSE_WRITE) {
                fates.written.extend(self.watches.get(&watch).into_iter().flatten());
            }
        }
        fates
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    const KEY: ObjectKey = ObjectKey::new(1, 2);

    #[tokio::test]
    async fn a_file_lives_as_long_as_someone_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "a").unwrap();
        let held = File::open(&path).unwrap();
        let mut lives = Lives::new().unwrap();
        assert!(lives.follow(&File::open(&path).unwrap().into(), &[KEY]));
        assert!(!lives.read().any);
        fs::write(dir.path().join("b"), "b").unwrap();
        fs::rename(dir.path().join("b"), &path).unwrap();
        lives.changed().await.unwrap();
        let fates = lives.read();
        assert!(fates.any && fates.ended.is_empty() && fates.written.is_empty());
        drop(held);
        assert_eq!(lives.read().ended, [KEY]);
    }

    #[tokio::test]
    async fn a_file_that_is_written_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "a").unwrap();
        let mut lives = Lives::new().unwrap();
        lives.follow(&File::open(&path).unwrap().into(), &[KEY]);
        fs::write(&path, "b").unwrap();
        let written = lives.read().written;
        assert!(written.contains(&KEY));
    }
}
