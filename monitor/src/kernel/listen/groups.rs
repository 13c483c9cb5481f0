//! Groups of fanotify. One has the marks of all file systems but those of which a part goes by another name than the whole, as a
//! subvolume of btrfs does: each of these parts needs a group of its own, and the kernel takes none before Linux 6.8.
//! <https://git.kernel.org/torvalds/c/30ad1938326bf9303ca38090339d948975a626f5>

use std::collections::HashMap;
use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;

use rustix::event::epoll;

use super::sys;

/// A group is a descriptor, and a user may have 128 of them.
const GROUPS_MAX: usize = 32;

#[derive(Debug)]
pub(super) struct Groups {
    all: Vec<OwnedFd>,
    /// Which group has the marks of a file system, so that nothing is told by two.
    of: HashMap<[u8; 8], usize>,
    /// The kernel takes no part of a file system, not even alone.
    takes_no_parts: bool,
    /// Has something to be read when one of them has.
    poll: OwnedFd,
}

impl Groups {
    pub fn new() -> io::Result<Self> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut groups = Self { all: Vec::new(), of: HashMap::new(), takes_no_parts: false, poll };
        groups.add(sys::changes()?)?;
        Ok(groups)
    }

    fn add(&mut self, group: OwnedFd) -> io::Result<()> {
        let data = epoll::EventData::new_u64(0);
        epoll::add(&self.poll, &group, data, epoll::EventFlags::IN)?;
        self.all.push(group);
        Ok(())
    }

    pub fn poll(&self) -> &OwnedFd {
        &self.poll
    }

    pub fn iter(&self) -> impl Iterator<Item = &OwnedFd> {
        self.all.iter()
    }

    /// Marks what is there at a path, on this file system.
    pub fn mark(&mut self, file_system: [u8; 8], mask: u64, path: &CStr) -> io::Result<()> {
        let is_other = |error: &io::Error| error.raw_os_error() == Some(libc::EXDEV);
        let known = self.of.get(&file_system).copied();
        let others = (0..self.all.len()).filter(|index| Some(*index) != known);
        let mut refused = None;
        for index in known.into_iter().chain(others) {
            let Some(group) = self.all.get(index) else { continue };
            match sys::mark(group, mask, path) {
                Err(error) if is_other(&error) => refused = Some(error),
                result => {
                    if result.is_ok() {
                        self.of.insert(file_system, index);
                    }
                    return result;
                }
            }
        }
        if let Some(error) = refused.filter(|_| self.takes_no_parts || self.all.len() >= GROUPS_MAX) {
            return Err(error);
        }
        let group = sys::changes()?;
        sys::mark(&group, mask, path).inspect_err(|error| self.takes_no_parts = is_other(error))?;
        self.of.insert(file_system, self.all.len());
        self.add(group)
    }

    /// Ends all marks.
    pub fn flush(&mut self) -> io::Result<()> {
        self.all.iter().try_for_each(sys::flush)?;
        self.of.clear();
        Ok(())
    }
}
