//! The node's network namespace, in which the daemon may not be: that of process 1.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::Identity;

const NODE: &str = "/proc/1/ns/net";

/// Does something there. Sockets that are made there stay there.
pub(super) fn inside<T: Send + 'static>(
    identity: &Identity,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    if identity.own.net == identity.node.net {
        return work();
    }
    let node = File::open(NODE)?;
    // A thread of its own, because it cannot come back.
    let there = thread::spawn(move || {
        move_into_link_name_space(node.as_fd(), Some(LinkNameSpaceType::Network))?;
        work()
    });
    there.join().unwrap_or_else(|_| Err(io::Error::other("the thread that entered it panicked")))
}
