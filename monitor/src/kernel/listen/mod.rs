//! What fanotify tells of changes that leave nothing behind in a process: for the `syscall` backend, which sees only what does.
//!
//! Marks are of inodes, so every path to them counts. An event names the process by its number only; the kernel side describes it
//! when its call ends (`DOERS`), because it may be gone when the event is read.

mod changes;
mod event;
mod groups;
mod heard;
mod marks;
mod mounts;
mod statmount;
mod sys;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

pub use self::changes::Changes;
use self::event::{Event, parse};
pub use self::heard::{Heard, What};
pub use self::marks::{Attributes, Mark};
pub use self::mounts::{Mounted, Mounts};
use super::backend::{HookReport, HookState};
use crate::node::Identity;

/// What was read.
#[derive(Debug, Default)]
pub struct Told {
    pub heard: Vec<Heard>,
    pub mounted: Vec<Mounted>,
    /// Times that the kernel dropped what came.
    pub overflows: u64,
    /// Mounts that ended before they could be looked at, wherever they were.
    pub brief_mounts: u64,
    pub malformed: u64,
}

#[derive(Debug, Default)]
pub struct Listener {
    pub changes: Option<Changes>,
    pub mounts: Option<Mounts>,
}

impl Listener {
    /// All that this kernel tells, and how that went.
    pub(super) fn new(identity: &Identity) -> (Self, Vec<HookReport>) {
        let is_node = identity.own.mnt == identity.node.mnt;
        let namespace = Path::new(if is_node { "/proc/self/ns/mnt" } else { "/proc/1/ns/mnt" });
        let (changes, mounts) = (Changes::new(), Mounts::new(namespace));
        let mut reports = vec![report("fanotify", "changes that open nothing", &changes)];
        // Before 6.15 the kernel does not know the question.
        if !matches!(&mounts, Err(error) if error.raw_os_error() == Some(libc::EINVAL)) {
            reports.push(report(MOUNTS, "mounts", &mounts));
        }
        (Self { changes: changes.ok(), mounts: mounts.ok() }, reports)
    }

    /// What is marked from now on is all that counts at the end.
    pub fn begin(&mut self) {
        if let Some(changes) = &mut self.changes {
            changes.begin();
        }
    }

    /// `paths`: those at which mounts matter.
    pub fn end(&mut self, paths: impl FnOnce() -> Vec<PathBuf>) {
        if let Some(changes) = &mut self.changes {
            changes.end();
        }
        if let Some(mounts) = &mut self.mounts {
            mounts.watch(paths());
        }
    }

    /// `contents`: whether it matters that files are cut, which is told with every write.
    pub fn mark(&mut self, fd: &OwnedFd, path: &Path, mark: Mark<'_>, contents: bool) {
        if let Some(changes) = &mut self.changes {
            changes.add(fd, path, mark, contents);
        }
    }

    /// What can be read when there is something.
    pub fn ears(&self) -> impl Iterator<Item = &OwnedFd> {
        let changes = self.changes.iter().map(Changes::ear);
        changes.chain(self.mounts.iter().map(Mounts::group))
    }

    /// Reads all that is there.
    pub fn read(&mut self) -> io::Result<Told> {
        let mut told = Told::default();
        if let Some(changes) = &mut self.changes {
            changes.read(&mut told)?;
        }
        if let Some(mounts) = &mut self.mounts {
            mounts.read(&mut told)?;
        }
        Ok(told)
    }
}

/// What a run calls it, among its hooks.
pub const MOUNTS: &str = "fanotify mounts";

fn report<T>(place: &'static str, sees: &'static str, result: &io::Result<T>) -> HookReport {
    let state = match result {
        Ok(_) => HookState::Attached,
        Err(error) => HookState::Failed(format!("{place}: {error}")),
    };
    HookReport { program: place.to_owned(), place, sees, optional: false, state }
}

/// Each event comes with a time that is not before it happened, whatever interrupts the daemon.
fn read(group: &OwnedFd, told: &mut Told, mut each: impl FnMut(Event, Instant, &mut Told)) -> io::Result<()> {
    let mut buffer = [0; 16 << 10];
    loop {
        let length = match rustix::io::read(group, &mut buffer) {
            Ok(length) => length,
            Err(rustix::io::Errno::AGAIN) => return Ok(()),
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        let now = Instant::now();
        let Ok(events) = parse(buffer.get(..length).unwrap_or_default()) else {
            told.malformed += 1;
            continue;
        };
        for event in events {
            if event.mask & libc::FAN_Q_OVERFLOW != 0 {
                told.overflows += 1;
            } else {
                each(event, now, told);
            }
        }
    }
}

/// For fuzz targets.
pub(crate) fn events(bytes: &[u8]) -> Option<usize> {
    parse(bytes).ok().map(|events| events.len())
}

/// For fuzz targets.
pub(crate) fn mount_point(bytes: &[u8]) -> Option<PathBuf> {
    statmount::parse(bytes).map(|mount| mount.point)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// The daemon may be let run again long after it began to read.
    #[test]
    fn nothing_is_heard_before_it_happened() {
        let (kernel, group) = UnixDatagram::pair().unwrap();
        // In place of a group's end of what there is to read.
        group.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let group = OwnedFd::from(group);
        let happened = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            let now = Instant::now();
            kernel.send(&Event::bytes(libc::FAN_CREATE, 7)).unwrap();
            now
        });
        let mut heard = Vec::new();
        read(&group, &mut Told::default(), |event, now, _| heard.push((event.pid, now))).unwrap();
        let happened = happened.join().unwrap();
        assert!(matches!(heard[..], [(7, now)] if now >= happened), "{heard:?} and {happened:?}");
    }
}
