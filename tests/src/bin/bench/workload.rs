//! Work like that of a compile: many short processes that open files.

use std::fs;
use std::time::Instant;

use anyhow::Result;
use tests::actor::shell;
use tests::daemon::manifests;

use crate::Effort;
use crate::figure::{Budget, Samples, figure};
use crate::running::Running;

pub fn measure(effort: Effort) -> Result<()> {
    let (rounds, files) = effort.pick((5, 40), (31, 100));
    let dir = tempfile::tempdir()?;
    let (sources, watched) = (dir.path().join("a/b/c/sources"), dir.path().join("watched"));
    fs::create_dir_all(&sources)?;
    fs::create_dir(&watched)?;
    let line = "a line of some words that a compiler would read\n".repeat(200);
    (0..files).try_for_each(|n| fs::write(sources.join(format!("{n}.c")), &line))?;
    let sources = sources.display();
    let build = format!(
        "for source in {sources}/*.c; do grep -c words $source; sed s/line/word/ $source; sort -u $source; \
         gzip -1 -c $source; md5sum $source; done > {sources}/object"
    );
    let seconds = || -> Result<f64> {
        let begun = Instant::now();
        shell(&build)?;
        Ok(begun.elapsed().as_secs_f64())
    };
    seconds()?;
    let (mut ratios, mut times, mut backend) = (Vec::new(), Vec::new(), String::new());
    for _ in 0..rounds {
        let before = seconds()?;
        let daemon = Running::start(&manifests(&watched, ""))?;
        daemon.backend().clone_into(&mut backend);
        let with = seconds()?;
        daemon.stop()?;
        // The same on both sides of it: whatever else the machine does changes slowly.
        ratios.push(2.0 * with / (before + seconds()?));
        times.push(with);
    }
    let ratios = Samples::new(ratios);
    let note = format!("{:.1} s, {}", Samples::new(times).median(), ratios.spread());
    let what = format!("work of many short processes, `{backend}`");
    figure(&what, ratios.median(), "x", &note, &Budget::AtMost(1.01));
    Ok(())
}
