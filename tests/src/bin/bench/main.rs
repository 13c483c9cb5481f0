//! What the daemon costs, each figure beside its budget. `cargo xtask bench` runs this on the machine and in a guest.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

mod figure;
mod flood;
mod hook;
mod latency;
mod memory;
mod opens;
mod running;
mod start;
mod workload;

/// How long to measure.
#[derive(Clone, Copy)]
pub struct Effort {
    pub quick: bool,
}

impl Effort {
    fn pick<T>(self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("bench: {error:?}");
            ExitCode::FAILURE
        }
    }
}

type Measurement = (&'static str, fn(Effort) -> Result<()>);

const NATIVE: [Measurement; 5] = [
    ("start", start::measure),
    ("opens", opens::measure),
    ("latency", latency::measure),
    ("flood", flood::measure),
    ("size", start::size),
];

const GUEST: [Measurement; 3] =
    [("hook", hook::measure), ("opens", opens::of_each_backend), ("workload", workload::measure)];

fn run(args: &[&str]) -> Result<()> {
    match args {
        ["native", rest @ ..] => measure(&NATIVE, rest),
        ["guest", rest @ ..] => measure(&GUEST, rest),
        ["sweep", dir, count] => flood::sweep(dir.as_ref(), count.parse()?),
        _ => bail!("what to measure?"),
    }
}

/// All, or those that are named.
fn measure(all: &[Measurement], args: &[&str]) -> Result<()> {
    let (options, names): (Vec<&str>, Vec<&str>) = args.iter().partition(|arg| arg.starts_with("--"));
    let effort = Effort { quick: options.contains(&"--quick") };
    for (name, measure) in all {
        if names.is_empty() || names.contains(name) {
            measure(effort).with_context(|| format!("measuring {name}"))?;
        }
    }
    Ok(())
}
