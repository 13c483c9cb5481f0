//! Noticing that the node changed around a target, with inotify on the directories that matter. It only says that a new plan
//! is due: the kernel programs never depend on it for what they watch already.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use tokio::io::Interest as Readiness;
use tokio::io::unix::AsyncFd;

use crate::node::root::magic_link;

/// Which changes inside a directory matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interest {
    Any,
    Names(HashSet<OsString>),
}

impl Interest {
    pub fn name(name: &OsStr) -> Self {
        Self::Names(HashSet::from([name.to_owned()]))
    }

    fn merge(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::Names(names), Self::Names(more)) => names.extend(more),
            _ => *self = Self::Any,
        }
    }

    fn includes(&self, name: Option<&OsStr>) -> bool {
        match (self, name) {
            (Self::Any, _) | (_, None) => true,
            (Self::Names(names), Some(name)) => names.contains(name),
        }
    }
}

pub struct Notices {
    fd: AsyncFd<OwnedFd>,
    watches: HashMap<i32, Interest>,
}

impl Notices {
    pub fn new() -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        // SAFETY: the descriptor is owned here, stays open and never changes.
        let fd = unsafe { AsyncFd::register_with_interest(fd, Readiness::READABLE) }?;
        Ok(Self { fd, watches: HashMap::new() })
    }

    /// Watches exactly these directories from now on.
    pub fn set(&mut self, directories: Vec<(OwnedFd, Interest)>) {
        let mut watches: HashMap<i32, Interest> = HashMap::new();
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        for (directory, interest) in directories {
            match inotify::add_watch(self.fd.get_ref(), magic_link(&directory), flags) {
                Ok(watch) => match watches.get_mut(&watch) {
                    Some(known) => known.merge(interest),
                    None => {
                        watches.insert(watch, interest);
                    }
                },
                Err(error) => {
                    tracing::warn!(%error, "cannot watch a directory for changes; the next rescan will see them");
                }
            }
        }
        for stale in self.watches.keys().filter(|watch| !watches.contains_key(watch)) {
            // The kernel removes a watch by itself when its directory goes.
            let _gone = inotify::remove_watch(self.fd.get_ref(), *stale);
        }
        self.watches = watches;
    }

    /// Waits for a change that matters. Safe to cancel.
    pub async fn changed(&mut self) -> io::Result<()> {
        loop {
            let mut guard = self.fd.readable().await?;
            let relevant = read_all(self.fd.get_ref(), &self.watches);
            guard.clear_ready();
            if relevant {
                return Ok(());
            }
        }
    }
}

/// Reads every pending event and says whether one matters. An overflow does: it stands for anything.
fn read_all(fd: &OwnedFd, watches: &HashMap<i32, Interest>) -> bool {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(fd, &mut buffer);
    let mut relevant = false;
    while let Ok(event) = reader.next() {
        let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
        relevant |= event.events().contains(ReadFlags::QUEUE_OVERFLOW)
            || watches.get(&event.wd()).is_some_and(|interest| interest.includes(name));
    }
    relevant
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::*;

    #[tokio::test]
    async fn only_named_changes_are_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let fd: OwnedFd = std::fs::File::open(dir.path()).unwrap().into();
        let mut notices = Notices::new().unwrap();
        notices.set(vec![(fd, Interest::name(OsStr::new("wanted")))]);
        std::fs::write(dir.path().join("other"), "").unwrap();
        assert!(!read_all(notices.fd.get_ref(), &notices.watches));
        std::fs::write(dir.path().join("wanted"), "").unwrap();
        notices.changed().await.unwrap();
    }
}
