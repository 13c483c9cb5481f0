//! Every network namespace of the node: those that processes live in, and those that a file holds.

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Calls back in each namespace once, with its number; returns why some could not be entered.
pub(super) fn each(pids: &[u32], held: &[PathBuf], mut visit: impl FnMut(u32)) -> Vec<String> {
    let own = number(Path::new("/proc/thread-self/ns/net"));
    let mut visited: HashSet<u32> = own.into_iter().collect();
    // The own namespace needs no privilege.
    own.into_iter().for_each(&mut visit);
    let of_processes = pids.iter().map(|pid| PathBuf::from(format!("/proc/{pid}/ns/net")));
    let mut gaps = Vec::new();
    for place in of_processes.chain(held.iter().cloned()) {
        let Some(number) = number(&place) else { continue };
        if !visited.insert(number) {
            continue;
        }
        let entered = File::open(&place)
            .and_then(|file| Ok(move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?));
        match entered {
            Ok(()) => visit(number),
            // Its last process may just have ended.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => {}
            Err(error) => {
                gaps.push(format!(
                    "connections from before the start in network namespace {number}: {error}"
                ));
            }
        }
    }
    gaps
}

/// `net:[4026531840]`, or the inode of a file that holds a namespace. `None` where it may not be known, or is gone.
fn number(place: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    match fs::read_link(place) {
        Ok(link) => super::status::namespace(link.as_os_str().as_encoded_bytes()),
        Err(_) => u32::try_from(fs::metadata(place).ok()?.ino()).ok(),
    }
}
