//! Mounts of the node that come and go, with the process that mounts. Since Linux 6.15.

use std::collections::HashMap;
use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{Mode, OFlags};

use super::statmount::{self, Mount};
use super::{Told, read, sys};

/// A mount on a path of interest came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    pub at: Instant,
    pub pid: u32,
    /// On the node.
    pub point: PathBuf,
    pub source: Vec<u8>,
    pub fstype: Vec<u8>,
    /// It went.
    pub gone: bool,
}

#[derive(Debug)]
pub struct Mounts {
    group: OwnedFd,
    /// The number of the node's mount namespace.
    namespace: u64,
    /// Paths of targets.
    paths: Vec<PathBuf>,
    /// Mounts at, above and beneath them.
    known: HashMap<u64, Mount>,
}

impl Mounts {
    /// `namespace` is a file like /proc/1/ns/mnt.
    pub fn new(namespace: &Path) -> io::Result<Self> {
        let group = sys::mounts()?;
        sys::mark_mounts(&group, &CString::new(namespace.as_os_str().as_bytes())?)?;
        let file = rustix::fs::open(namespace, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let namespace = statmount::namespace(&file)?;
        // Said now and not with the first mount.
        statmount::list(namespace)?;
        Ok(Self { group, namespace, paths: Vec::new(), known: HashMap::new() })
    }

    pub fn group(&self) -> &OwnedFd {
        &self.group
    }

    /// From now on, these paths matter.
    pub fn watch(&mut self, paths: Vec<PathBuf>) {
        if self.paths == paths {
            return;
        }
        self.paths = paths;
        self.known.clear();
        match statmount::list(self.namespace) {
            Ok(ids) => {
                for id in ids {
                    // One that ends meanwhile is of no interest.
                    let _ended = self.find(id);
                }
            }
            Err(error) => tracing::warn!(%error, "cannot list the node's mounts"),
        }
    }

    /// Looks a mount up, and keeps it if it is of interest. A mount that ended already is nowhere.
    fn find(&mut self, id: u64) -> io::Result<Option<&Mount>> {
        let mount = statmount::of(id, self.namespace)?;
        Ok(self.matters(&mount.point).then(|| &*self.known.entry(id).insert_entry(mount).into_mut()))
    }

    /// The root of the file system is above all, and nobody mounts there.
    fn matters(&self, point: &Path) -> bool {
        let related = |path: &PathBuf| point.starts_with(path) || path.starts_with(point);
        point.parent().is_some() && self.paths.iter().any(related)
    }

    /// Reads all that is there.
    pub fn read(&mut self, told: &mut Told) -> io::Result<()> {
        let mut events = Vec::new();
        read(&self.group, told, |event, now, _| events.push((event, now)))?;
        for (event, now) in events {
            let Some(id) = event.mount else { continue };
            let mut tell = |mount: &Mount, gone| {
                let Mount { point, source, fstype } = mount.clone();
                told.mounted.push(Mounted { at: now, pid: event.pid, point, source, fstype, gone });
            };
            if event.mask & sys::FAN_MNT_ATTACH != 0 {
                match self.find(id) {
                    Ok(Some(mount)) => tell(mount, false),
                    Ok(None) => {}
                    Err(_) => told.brief_mounts += 1,
                }
            }
            if event.mask & sys::FAN_MNT_DETACH != 0
                && let Some(mount) = self.known.remove(&id)
            {
                tell(&mount, true);
            }
        }
        Ok(())
    }
}
