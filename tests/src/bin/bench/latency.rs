//! From an access to its line.

use std::fs::{self, File};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tests::daemon::manifests;

use crate::Effort;
use crate::figure::{Budget, Samples, figure};
use crate::running::Running;

/// Between two accesses the daemon goes to sleep.
const PAUSE: Duration = Duration::from_millis(10);

pub fn measure(effort: Effort) -> Result<()> {
    let count = effort.pick(100, 1000);
    let dir = tempfile::tempdir()?;
    // Each another file: what a process repeats is not written at once.
    let files: Vec<_> = (0..count).map(|n| dir.path().join(format!("{n}.yaml"))).collect();
    files.iter().try_for_each(|file| fs::write(file, "kind: Pod\n"))?;
    let daemon = Running::start(&manifests(dir.path(), ""))?;
    let mut times = Vec::new();
    for file in &files {
        std::thread::sleep(PAUSE);
        let name = format!("\"path\":\"{}\"", file.to_str().context("a path that is no text")?);
        let begun = Instant::now();
        drop(File::open(file)?);
        let line = loop {
            let line = daemon.line()?;
            if line.text.contains(&name) {
                break line;
            }
        };
        times.push((line.at - begun).as_secs_f64() * 1e3);
    }
    daemon.stop()?;
    let times = Samples::new(times);
    let note = format!("{count} accesses");
    figure("access to line, median", times.median(), " ms", &note, &Budget::AtMost(1.0));
    figure("access to line, 99 of 100", times.at(99), " ms", &note, &Budget::AtMost(10.0));
    Ok(())
}
