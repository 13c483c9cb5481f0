//! The ways that are gone, out of those in [`crate::coverage`]: what has no effect but on the scene, on namespaces of the child's own and on
//! the scene's ports.

mod change;
mod mount;
mod open;
mod raw;
mod second;
mod tcp;
mod unix;
mod uring;

use std::io;

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::UnshareFlags;

use super::scene::{Door, Place};
use crate::clock;
use crate::model::Action;

/// Does it, and returns the time just before, in nanoseconds since boot.
type Act = fn(&Place) -> io::Result<u64>;

/// What a process does that the child starts, with this descriptor.
type Second = fn(i32) -> io::Result<()>;

#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// As in the table of coverage.
    pub id: &'static str,
    pub door: Door,
    /// What the kernel has to report.
    pub action: Action,
    /// What it may report instead.
    pub or: Option<Action>,
    /// Of a directory above the target.
    pub ancestor: bool,
    /// A node may be set up so that it does not work.
    pub may_be_refused: bool,
    /// It is a mount, in a namespace of its own.
    pub mounts: bool,
    pub(super) act: Act,
    pub(super) second: Option<Second>,
}

const fn way(id: &'static str, door: Door, action: Action, act: Act) -> Way {
    let (or, second) = (None, None);
    Way { id, door, action, or, ancestor: false, may_be_refused: false, mounts: false, act, second }
}

const fn file(id: &'static str, action: Action, act: Act) -> Way {
    way(id, Door::Manifests, action, act)
}

const fn connection(id: &'static str, door: Door, act: Act) -> Way {
    way(id, door, Action::Connect, act)
}

impl Way {
    const fn if_possible(self) -> Self {
        Self { may_be_refused: true, ..self }
    }

    const fn mounts(self) -> Self {
        Self { mounts: true, ..self }
    }

    /// To a directory that no other way uses, so that none finds its own moved away.
    const fn alone(self) -> Self {
        Self { door: Door::Own, ..self }
    }

    const fn of_ancestor(self) -> Self {
        Self { ancestor: true, ..self.alone() }
    }

    const fn or(self, action: Action) -> Self {
        Self { or: Some(action), ..self }
    }

    const fn with(self, second: Second) -> Self {
        Self { second: Some(second), ..self }
    }
}

/// All of them, in the order in which they are gone.
pub fn ways() -> impl Iterator<Item = &'static Way> {
    [open::WAYS, change::WAYS, mount::WAYS, unix::WAYS, tcp::WAYS].into_iter().flatten()
}

fn timed<T>(access: impl FnOnce() -> io::Result<T>) -> io::Result<u64> {
    let before = clock::since_boot();
    access()?;
    Ok(before)
}

/// Nobody else sees what is mounted from now on, and it goes away with the process.
fn own_mounts() -> io::Result<()> {
    raw::unshare(UnshareFlags::NEWNS)?;
    Ok(mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?)
}

#[cfg(test)]
mod tests;
