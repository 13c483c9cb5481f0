//! Processes that use a door. Each is a real program at a path of its own.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

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

/// A process that keeps a door open until it is dropped.
#[derive(Debug)]
pub struct Holder(Child);

impl Holder {
    /// The actor, which takes what it is told to.
    pub fn of<const N: usize>(what: [&str; N]) -> Result<Self> {
        Self::start(&program()?, what)
    }

    /// The same as another program.
    pub fn start<const N: usize>(program: &Path, what: [&str; N]) -> Result<Self> {
        Self::ready(Command::new(program).arg("hold").args(what))
    }

    /// The same as another program in a mount namespace of its own, in which its path may lead to a copy.
    pub fn apart(program: &Path, copy: Option<&Path>, what: &str) -> Result<Self> {
        let program = program.display();
        let bind =
            copy.map_or_else(String::new, |copy| format!("mount --bind {} {program}; ", copy.display()));
        let inner = format!("{bind}exec {program} hold {what}");
        Self::ready(Command::new("unshare").args(["-m", "/bin/sh", "-ec", &inner]))
    }

    /// The same in a namespace of its own, as `unshare` names it.
    pub fn in_namespace(kind: &str, what: &str) -> Result<Self> {
        let inner =
            format!("ip link set lo up 2>/dev/null || true; exec {} hold {what}", program()?.display());
        Self::ready(Command::new("unshare").args([kind, "/bin/sh", "-ec", &inner]))
    }

    /// The same in a mount namespace of its own, in which something is mounted at another place.
    pub fn bound(from: &Path, to: &Path, what: &str) -> Result<Self> {
        let (from, to) = (from.display(), to.display());
        let inner = format!("mount --bind {from} {to}; exec {} hold {what}", program()?.display());
        Self::ready(Command::new("unshare").args(["-m", "/bin/sh", "-ec", &inner]))
    }

    fn ready(command: &mut Command) -> Result<Self> {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut holder = Self(command.spawn().with_context(|| format!("cannot start {command:?}"))?);
        let mut line = String::new();
        let stdout = holder.0.stdout.take().context("no stdout")?;
        BufReader::new(stdout).read_line(&mut line)?;
        if line != "ready\n" {
            let mut stderr = String::new();
            holder.0.stderr.take().context("no stderr")?.read_to_string(&mut stderr)?;
            bail!("{command:?} is not ready: {stderr}");
        }
        Ok(holder)
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}
