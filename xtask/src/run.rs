//! Runs the daemon on this machine.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::setup::{self, Part};
use crate::{build, paths};

#[derive(clap::Args)]
pub struct Args {
    /// Arguments for `bypassd run`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

pub fn run(args: &Args) -> Result<()> {
    setup::ensure(Some(Part::Build))?;
    let bypassd = build::daemon(true)?;
    // Replaces this process, so that signals reach the daemon and stdout holds nothing but its events.
    let mut command = Command::new(&bypassd);
    command
        .arg("run")
        .args(&args.args)
        .current_dir(std::env::current_dir().unwrap_or_else(|_| paths::root().into()));
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start {}", bypassd.display()))
}
