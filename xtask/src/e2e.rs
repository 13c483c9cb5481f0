//! The end-to-end tests on this machine, with its kernel.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::report::{self, Tally};
use crate::{build, dist, image};

#[derive(clap::Args)]
pub struct Args {
    /// Names of tests to run, and other arguments of the test program
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    filter: Vec<String>,
}

pub fn run(args: &Args) -> Result<()> {
    run_as("native", &args.filter, &[])
}

/// The same under another name, with more in the tests' environment.
pub fn run_as(name: &str, filter: &[String], envs: &[(&str, String)]) -> Result<()> {
    let programs = build::test_programs()?;
    let bypassd = build::daemon(true)?;
    let mut child = Command::new(&programs.e2e)
        .arg(report::PLAIN)
        .args(filter)
        .envs(envs.iter().map(|(name, value)| (name, value)))
        .env("BYPASSD_DIST", dist::write(&bypassd)?)
        .env("BYPASSD_IMAGE", image::path()?)
        .env("BYPASSD_BIN", bypassd)
        .env("ACTOR_BIN", &programs.actor)
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", programs.e2e.display()))?;
    let mut output = String::new();
    let stdout = child.stdout.take().context("the end-to-end tests have no stdout")?;
    for line in BufReader::new(stdout).lines() {
        let line = line.context("cannot read the end-to-end tests' output")?;
        eprintln!("{line}");
        output.push_str(&line);
        output.push('\n');
    }
    let status = child.wait()?;
    let Some(tally) = Tally::read(&output) else {
        println!("{name}: 0 passed, 1 failed");
        bail!("the end-to-end tests stopped before their end ({status})");
    };
    println!("{name}: {tally}");
    if !status.success() || tally.failed > 0 {
        bail!("end-to-end tests failed on this machine");
    }
    if tally.ran_nothing() && filter.is_empty() {
        bail!("there was no end-to-end test to run");
    }
    Ok(())
}

impl Args {
    pub fn all() -> Self {
        Self { filter: Vec::new() }
    }
}
