//! Everything that judges the code without running it.

use std::process::Command;

use anyhow::{Result, bail};

use crate::build::object;
use crate::toolchain::Toolchain;
use crate::{cargo, command, paths};

type Check = (&'static str, fn() -> Result<()>);

const CHECKS: [Check; 4] = [
    ("formatting", formatting),
    ("clippy", clippy),
    ("kernel programs", kernel_programs),
    ("dependencies", dependencies),
];

/// Runs all of them, so that one round shows everything.
pub fn run() -> Result<()> {
    let mut failed = Vec::new();
    for (name, check) in CHECKS {
        if let Err(error) = check() {
            eprintln!("lint: {name}: {error:#}");
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("lint found something in: {}", failed.join(", "));
    }
    Ok(())
}

fn formatting() -> Result<()> {
    command::run(cargo::host().args(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    command::run(cargo::host().args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "--deny=warnings",
    ]))
}

fn kernel_programs() -> Result<()> {
    // A distribution's cargo would run rustup's clippy where both exist, and that lacks the sources of `core`.
    object::check(match Toolchain::required()? {
        Toolchain::Nightly => "clippy",
        Toolchain::Distro => "check",
    })
}

fn dependencies() -> Result<()> {
    let Some(deny) = paths::program("cargo-deny") else {
        eprintln!("lint: dependencies not checked: `cargo install cargo-deny --locked` brings what it takes");
        return Ok(());
    };
    let mut command = Command::new(deny);
    command.current_dir(paths::root()).args(["check", "bans", "licenses", "sources"]);
    command::run(&mut command)
}
