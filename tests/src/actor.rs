//! Processes that use a door. Each is a real program at a path of its own.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};

/// The little program that touches things, as it was built.
pub fn program() -> Result<PathBuf> {
    std::env::var_os("ACTOR_BIN")
        .map(PathBuf::from)
        .context("ACTOR_BIN names no actor; run `cargo xtask e2e`")
}

/// A copy at another path: another file with the same contents.
pub fn copy_to(path: &Path) -> Result<PathBuf> {
    fs::copy(program()?, path).with_context(|| format!("cannot copy the actor to {}", path.display()))?;
    Ok(path.to_owned())
}

/// Runs a program to its end.
pub fn run<S: AsRef<OsStr>>(program: &Path, args: impl IntoIterator<Item = S>) -> Result<Output> {
    let output = Command::new(program)
        .args(args)
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    Ok(output)
}

/// Runs a program as a user without any privilege.
pub fn run_as_nobody<S: AsRef<OsStr>>(program: &Path, args: impl IntoIterator<Item = S>) -> Result<Output> {
    const NOBODY: u32 = 65534;
    let output = Command::new(program)
        .args(args)
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    Ok(output)
}

/// Runs the actor, which has to succeed.
pub fn act<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Result<()> {
    must(&program()?, args)
}

/// Runs a program, which has to succeed.
pub fn must<S: AsRef<OsStr>>(program: &Path, args: impl IntoIterator<Item = S>) -> Result<()> {
    let output = run(program, args)?;
    ensure!(
        output.status.success(),
        "{} ended with {}: {}{}",
        program.display(),
        output.status,
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout),
    );
    Ok(())
}

/// Runs a line of shell.
pub fn shell_output(line: &str) -> Result<Output> {
    run(Path::new("/bin/sh"), ["-ec", line])
}

/// Runs a line of shell, which has to succeed.
pub fn shell(line: &str) -> Result<()> {
    must(Path::new("/bin/sh"), ["-ec", line])
}
