//! Every test there is. Goes on after a failure: one round shows everything.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::{build, cargo, command, e2e, fuzz, setup, soak, vm};

type Part = (&'static str, fn() -> Result<()>);

const PARTS: [Part; 7] = [
    ("setup", || setup::ensure(None)),
    ("unit tests", unit_tests),
    ("fuzz", || fuzz::run(&fuzz::Args::short())),
    ("build", || build::daemon(true).map(drop)),
    ("native", || e2e::run(&e2e::Args::all())),
    ("soak", || soak::run(&soak::Args::short())),
    ("guests", vm::run_all),
];

pub fn run() -> Result<()> {
    let mut failed = Vec::new();
    let mut times = Vec::new();
    for (name, part) in PARTS {
        let started = Instant::now();
        if let Err(error) = part() {
            eprintln!("{name}: {error:#}");
            failed.push(name);
        }
        times.push(format!("{name} {}", seconds(started.elapsed())));
    }
    eprintln!("times: {}", times.join(", "));
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

/// Its closing lines are the result, so its stdout stays its own.
fn unit_tests() -> Result<()> {
    command::run_through(cargo::host().args(["test", "--workspace"]))
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
