//! What an open costs that nobody watches. Rounds with and without the daemon take turns, and only the time that the processor spends
//! on this thread counts, so that other work on the machine does not.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use rustix::time::{ClockId, clock_gettime};
use tests::daemon::manifests;

use crate::Effort;
use crate::figure::{Budget, Samples, figure};
use crate::running::Running;

struct Case {
    what: &'static str,
    operation: Box<dyn Fn() -> Result<()>>,
    budget: Budget,
    without: Vec<f64>,
    with: Vec<f64>,
}

impl Case {
    fn new(what: &'static str, budget: Budget, operation: impl Fn() -> Result<()> + 'static) -> Self {
        Self { what, operation: Box::new(operation), budget, without: Vec::new(), with: Vec::new() }
    }

    /// Nanoseconds of one operation.
    fn time(&self, count: u32) -> Result<f64> {
        let begun = own_time();
        for _ in 0..count {
            (self.operation)()?;
        }
        Ok((own_time() - begun).as_secs_f64() * 1e9 / f64::from(count))
    }
}

/// By the backend that the daemon chooses.
pub fn measure(effort: Effort) -> Result<()> {
    each(effort.pick((7, 20_000), (31, 50_000)), &[], Budget::AtMost(1.25))
}

/// By each, where all of them attach.
pub fn of_each_backend(effort: Effort) -> Result<()> {
    ["fentry", "kprobe", "syscall"].into_iter().try_for_each(|backend| {
        each(effort.pick((5, 5000), (11, 20_000)), &["--backend", backend], Budget::None)
    })
}

fn each((rounds, count): (u32, u32), args: &[&str], budget: Budget) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (deep, watched) = (deep_file(dir.path())?, dir.path().join("watched"));
    fs::create_dir(&watched)?;
    let mut cases = [
        Case::new("open and close of an unwatched file, 10 directories deep", budget, move || {
            File::open(&deep).map(drop).map_err(Into::into)
        }),
        Case::new("open and close of a file of /proc", Budget::None, || {
            File::open("/proc/uptime")?;
            Ok(())
        }),
        Case::new("another system call", Budget::None, || {
            let _parent = rustix::process::getppid();
            Ok(())
        }),
    ];
    let mut backend = String::new();
    for _ in 0..rounds {
        for case in &mut cases {
            case.without.push(case.time(count)?);
        }
        let daemon = Running::start_with(&manifests(&watched, ""), args)?;
        daemon.backend().clone_into(&mut backend);
        for case in &mut cases {
            case.with.push(case.time(count)?);
        }
        daemon.stop()?;
    }
    for Case { what, budget, without, with, .. } in cases {
        let ratios = Samples::new(with.iter().zip(&without).map(|(with, without)| with / without).collect());
        let (without, with) = (Samples::new(without).median(), Samples::new(with).median());
        let note = format!("{with:.0} ns instead of {without:.0} ns, {}", ratios.spread());
        figure(&format!("{what}, `{backend}`"), ratios.median(), "x", &note, &budget);
    }
    Ok(())
}

/// A file below ten directories.
pub fn deep_file(base: &Path) -> Result<PathBuf> {
    let dir: PathBuf = [base.to_owned()].into_iter().chain((0..10).map(|n| n.to_string().into())).collect();
    fs::create_dir_all(&dir)?;
    let file = dir.join("file");
    fs::write(&file, "")?;
    Ok(file)
}

/// How long this thread has run.
fn own_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default())
}
