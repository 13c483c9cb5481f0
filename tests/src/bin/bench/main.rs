//! What the daemon costs, each figure beside its budget. `cargo xtask bench` runs this on the machine and in a guest.

use std::process::ExitCode;

use anyhow::{Result, bail};

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

fn run(args: &[&str]) -> Result<()> {
    match args {
        ["native", rest @ ..] => native(effort(rest)?),
        ["guest", rest @ ..] => guest(effort(rest)?),
        ["sweep", dir, count] => flood::sweep(dir.as_ref(), count.parse()?),
        _ => bail!("what to measure?"),
    }
}

fn effort(args: &[&str]) -> Result<Effort> {
    match args {
        [] => Ok(Effort { quick: false }),
        ["--quick"] => Ok(Effort { quick: true }),
        _ => bail!("what else?"),
    }
}

fn native(effort: Effort) -> Result<()> {
    start::measure(effort)?;
    opens::measure(effort)?;
    latency::measure(effort)?;
    flood::measure(effort)?;
    start::size()
}

fn guest(effort: Effort) -> Result<()> {
    hook::measure(effort)?;
    workload::measure(effort)
}
