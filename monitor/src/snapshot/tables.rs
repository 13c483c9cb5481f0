//! The tables of descriptors of a process. Its threads share one, if they are not made to differ, and if the first has not ended.

use std::io;

use rustix::fs::{Dir, Mode, OFlags, openat};

use super::process::Process;

/// Tables that are compared with; beyond, one is looked at again rather than left out.
const COMPARED_MAX: usize = 64;

/// A task for each table.
pub(super) fn tasks(process: &Process) -> Vec<u32> {
    let mut distinct = vec![process.pid];
    let Ok(others) = others(process) else { return distinct };
    for task in others {
        let known = distinct.iter().take(COMPARED_MAX);
        if !known.into_iter().any(|known| shared(*known, task)) {
            distinct.push(task);
        }
    }
    distinct
}

/// Threads besides the first.
fn others(process: &Process) -> io::Result<Vec<u32>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = openat(&process.dir, "task", flags, Mode::empty())?;
    let mut others = Vec::new();
    for entry in Dir::new(dir)? {
        let name = entry?;
        let task: Option<u32> = name.file_name().to_str().ok().and_then(|name| name.parse().ok());
        others.extend(task.filter(|task| *task != process.pid));
    }
    Ok(others)
}

/// Whether two tasks have the same table. If the kernel cannot say, they have: that is how threads are made.
fn shared(one: u32, other: u32) -> bool {
    /// <https://man7.org/linux/man-pages/man2/kcmp.2.html>
    const KCMP_FILES: libc::c_long = 2;
    // SAFETY: the call takes numbers only.
    let order = unsafe {
        libc::syscall(libc::SYS_kcmp, libc::c_long::from(one), libc::c_long::from(other), KCMP_FILES, 0, 0)
    };
    order <= 0
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use rustix::thread::{UnshareFlags, gettid, unshare_unsafe};

    use super::*;

    #[test]
    fn a_thread_with_a_table_of_its_own_is_found() {
        let process = Process::open(std::process::id()).unwrap();
        let (ready, is_ready) = channel();
        let (done, is_done) = channel::<()>();
        let thread = std::thread::spawn(move || {
            // SAFETY: this thread uses no descriptor of the others.
            let own = unsafe { unshare_unsafe(UnshareFlags::FILES) };
            ready.send((own, u32::try_from(gettid().as_raw_nonzero().get()).unwrap())).unwrap();
            let _ended = is_done.recv();
        });
        let (unshared, task) = is_ready.recv().unwrap();
        unshared.unwrap();
        let found = tasks(&process);
        drop(done);
        thread.join().unwrap();
        assert!(found.contains(&task), "{task} not in {found:?}");
        assert_eq!(found[0], process.pid);
        // The test program has more threads than tables.
        assert!(!found.contains(&u32::try_from(gettid().as_raw_nonzero().get()).unwrap()));
    }
}
