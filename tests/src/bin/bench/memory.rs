//! How much memory a daemon has while something goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::running::{Running, mebibytes};

const EVERY: Duration = Duration::from_millis(20);

/// Does something and returns the most that was resident meanwhile, in MiB.
pub fn peak_during<T>(daemon: &Running, action: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let done = AtomicBool::new(false);
    let pid = daemon.pid();
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut peak: f64 = 0.0;
            while !done.load(Ordering::Relaxed) {
                peak = peak.max(mebibytes(pid, "VmRSS").unwrap_or_default());
                thread::sleep(EVERY);
            }
            peak
        });
        let result = action();
        done.store(true, Ordering::Relaxed);
        let peak = watcher.join().unwrap_or(f64::NAN);
        Ok((result?, peak))
    })
}
