//! Noticing that the node changed around a target, with inotify on the directories that matter. It only says that a new plan
//! is due: the kernel programs never depend on it for what they watch already.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use tokio::io::Interest as Readiness;
use tokio::io::unix::AsyncFd;

use crate::access::ObjectKey;
use crate::node::root::magic_link;

/// Something to notice changes of.
#[derive(Debug)]
pub struct Notice {
    pub fd: OwnedFd,
    pub interest: Interest,
    /// Watched objects that this is. They stay watched for as long as the object exists, wherever it is moved.
    pub keeps: Vec<ObjectKey>,
}

/// Which changes matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interest {
    /// All inside the directory.
    Any,
    /// Of these names in the directory.
    Names(HashSet<OsString>),
    /// Its end.
    Itself,
}

impl Interest {
    pub fn name(name: &OsStr) -> Self {
        Self::Names(HashSet::from([name.to_owned()]))
    }

    fn merge(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::Names(names), Self::Names(more)) => names.extend(more),
            (_, Self::Itself) => {}
            (Self::Itself, other) => *self = other,
            _ => *self = Self::Any,
        }
    }

    fn includes(&self, name: Option<&OsStr>) -> bool {
        match (self, name) {
            (Self::Any, _) | (_, None) => true,
            (Self::Itself, Some(_)) => false,
            (Self::Names(names), Some(name)) => names.contains(name),
        }
    }
}

pub struct Notices {
    fd: AsyncFd<OwnedFd>,
    watches: HashMap<i32, Watched>,
    /// Becomes readable with every change of the node's mounts.
    mounts: Option<AsyncFd<File>>,
}

#[derive(Debug)]
struct Watched {
    interest: Interest,
    keeps: Vec<ObjectKey>,
}

impl Notices {
    pub fn new(mountinfo: &Path) -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        // SAFETY: the descriptor is owned here, stays open and never changes.
        let fd = unsafe { AsyncFd::register_with_interest(fd, Readiness::READABLE) }?;
        let mounts = mounts(mountinfo).inspect_err(|error| {
            tracing::warn!(%error, "cannot wait for changes of mounts; the next rescan will see them");
        });
        Ok(Self { fd, watches: HashMap::new(), mounts: mounts.ok() })
    }

    /// Watches exactly these from now on, and what was kept before, still exists and is still wanted: its objects are returned.
    pub fn set(&mut self, notices: Vec<Notice>, wanted: impl Fn(&ObjectKey) -> bool) -> HashSet<ObjectKey> {
        // Forgets what has ended by now.
        read_all(self.fd.get_ref(), &mut self.watches);
        let mut watches: HashMap<i32, Watched> = HashMap::new();
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF;
        for Notice { fd, interest, keeps } in notices {
            match inotify::add_watch(self.fd.get_ref(), magic_link(&fd), flags) {
                Ok(watch) => {
                    let watched = watches
                        .entry(watch)
                        .or_insert_with(|| Watched { interest: Interest::Itself, keeps: Vec::new() });
                    watched.interest.merge(interest);
                    watched.keeps.extend(keeps);
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot watch for changes; the next rescan will see them");
                }
            }
        }
        let mut kept = HashSet::new();
        for (watch, mut old) in self.watches.drain() {
            if watches.contains_key(&watch) {
                continue;
            }
            old.keeps.retain(&wanted);
            if old.keeps.is_empty() {
                // The kernel removes a watch by itself when its directory goes.
                let _gone = inotify::remove_watch(self.fd.get_ref(), watch);
            } else {
                kept.extend(old.keeps.iter().copied());
                watches.insert(watch, Watched { interest: Interest::Itself, keeps: old.keeps });
            }
        }
        self.watches = watches;
        kept
    }

    /// Waits for a change that matters. Safe to cancel.
    pub async fn changed(&mut self) -> io::Result<()> {
        let Self { fd, watches, mounts } = self;
        let mounts = async {
            match mounts {
                Some(mounts) => mounts.ready(MOUNTS_CHANGED).await.map(|mut guard| guard.clear_ready()),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = entries_changed(fd, watches) => changed,
            changed = mounts => changed,
        }
    }
}

/// How the kernel says that mounts changed.
const MOUNTS_CHANGED: Readiness = Readiness::PRIORITY.add(Readiness::ERROR);

fn mounts(mountinfo: &Path) -> io::Result<AsyncFd<File>> {
    let file = File::open(mountinfo)?;
    // SAFETY: the descriptor is owned here, stays open and never changes.
    Ok(unsafe { AsyncFd::register_with_interest(file, MOUNTS_CHANGED) }?)
}

async fn entries_changed(fd: &AsyncFd<OwnedFd>, watches: &mut HashMap<i32, Watched>) -> io::Result<()> {
    loop {
        let mut guard = fd.readable().await?;
        let relevant = read_all(fd.get_ref(), watches);
        guard.clear_ready();
        if relevant {
            return Ok(());
        }
    }
}

/// Reads every pending event and says whether one matters. An overflow does: it stands for anything.
fn read_all(fd: &OwnedFd, watches: &mut HashMap<i32, Watched>) -> bool {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(fd, &mut buffer);
    let mut relevant = false;
    while let Ok(event) = reader.next() {
        let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
        relevant |= event.events().contains(ReadFlags::QUEUE_OVERFLOW)
            || watches.get(&event.wd()).is_some_and(|watched| watched.interest.includes(name));
        if event.events().contains(ReadFlags::IGNORED) {
            watches.remove(&event.wd());
        }
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
        let fd: OwnedFd = File::open(dir.path()).unwrap().into();
        let mut notices = Notices::new(Path::new("/proc/self/mountinfo")).unwrap();
        let wanted = Interest::name(OsStr::new("wanted"));
        notices.set(vec![Notice { fd, interest: wanted, keeps: Vec::new() }], |_| true);
        std::fs::write(dir.path().join("other"), "").unwrap();
        assert!(!read_all(notices.fd.get_ref(), &mut notices.watches));
        std::fs::write(dir.path().join("wanted"), "").unwrap();
        notices.changed().await.unwrap();
    }

    #[tokio::test]
    async fn what_is_kept_is_kept_until_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let fd: OwnedFd = File::create(&path).unwrap().into();
        let key = ObjectKey::new(1, 2);
        let mut notices = Notices::new(Path::new("/proc/self/mountinfo")).unwrap();
        let notice = Notice { fd, interest: Interest::Itself, keeps: vec![key] };
        assert!(notices.set(vec![notice], |_| true).is_empty());
        std::fs::rename(&path, dir.path().join("elsewhere")).unwrap();
        assert!(notices.set(Vec::new(), |_| true).contains(&key));
        std::fs::remove_file(dir.path().join("elsewhere")).unwrap();
        assert!(notices.set(Vec::new(), |_| true).is_empty());
    }

    #[tokio::test]
    async fn what_the_policy_no_longer_names_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let fd: OwnedFd = File::create(dir.path().join("file")).unwrap().into();
        let mut notices = Notices::new(Path::new("/proc/self/mountinfo")).unwrap();
        let notice = Notice { fd, interest: Interest::Itself, keeps: vec![ObjectKey::new(1, 2)] };
        notices.set(vec![notice], |_| true);
        assert!(notices.set(Vec::new(), |_| false).is_empty());
        assert!(notices.watches.is_empty());
    }
}
