//! How many flagged accesses a minute reach stdout with none lost.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::daemon::manifests;

use crate::figure::{Budget, figure};
use crate::running::{Line, Running};
use crate::{Effort, memory};

/// A process opens each file once: what it repeats would be counted and not written.
const FILES: u32 = 500;

/// The budget: accesses a minute for each CPU.
const BUDGET: f64 = 100_000.0;

/// What is tried, in budgets.
const STEPS: [f64; 9] = [1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0];

pub fn measure(effort: Effort) -> Result<()> {
    let time = Duration::from_secs(effort.pick(3, 20));
    let cpus = f64::from(u32::try_from(thread::available_parallelism()?.get())?);
    let dir = tempfile::tempdir()?;
    for n in 0..FILES {
        fs::write(dir.path().join(format!("{n}.yaml")), "kind: Pod\n")?;
    }
    let (mut best, mut most_memory): (f64, f64) = (0.0, 0.0);
    for step in STEPS {
        let daemon = Running::start(&manifests(dir.path(), ""))?;
        let rate = step * BUDGET * cpus / 60.0;
        let ((made, seconds), memory) = memory::peak_during(&daemon, || accesses(dir.path(), rate, time))?;
        most_memory = most_memory.max(memory);
        let lines = daemon.stop()?;
        let (alerts, lost) = count(&lines)?;
        let reached = f64::from(made) / seconds;
        eprintln!("bench: {made} accesses in {seconds:.1} s: {alerts} lines, {lost} losses");
        if alerts == u64::from(made) && lost == 0 {
            best = best.max(reached);
        }
        // More than this machine can do cannot be asked for.
        if alerts < u64::from(made) || reached < 0.9 * rate {
            break;
        }
    }
    let what = "flagged accesses a minute for each CPU, all written";
    figure(what, best * 60.0 / cpus, "", "", &Budget::AtLeast(BUDGET));
    figure("resident at most during that flood", most_memory, " MiB", "", &Budget::AtMost(40.0));
    Ok(())
}

/// Makes accesses at a rate; returns how many and how long that took.
fn accesses(dir: &Path, rate: f64, time: Duration) -> Result<(u32, f64)> {
    let begun = Instant::now();
    let mut made = 0;
    while begun.elapsed() < time {
        let due = begun + Duration::from_secs_f64(f64::from(made) / rate);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        ensure!(one(dir)?.wait()?.success(), "the accesses failed");
        made += FILES;
    }
    Ok((made, begun.elapsed().as_secs_f64()))
}

fn one(dir: &Path) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("sweep").arg(dir).arg(FILES.to_string()).spawn().context("cannot start the accesses")
}

/// The process that makes some accesses.
pub fn sweep(dir: &Path, count: u32) -> Result<()> {
    (0..count).try_for_each(|n| {
        File::open(dir.join(format!("{n}.yaml")))?;
        Ok(())
    })
}

/// Accesses in the lines, and lines that say that something was lost.
fn count(lines: &[Line]) -> Result<(u64, usize)> {
    let (mut alerts, mut lost) = (0, 0);
    for Line { text, .. } in lines {
        // Parsing all of them would take longer than the flood.
        if text.contains("\"kind\":\"alert\"") {
            let event =
                text.contains("\"count\":").then(|| serde_json::from_str::<Value>(text)).transpose()?;
            alerts += event.and_then(|event| event["count"].as_u64()).unwrap_or(1);
        } else if text.contains("\"state\":\"loss\"") {
            lost += 1;
        }
    }
    Ok((alerts, lost))
}
