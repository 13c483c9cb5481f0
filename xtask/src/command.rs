//! Running other programs, with errors that name them.

use std::io;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// Shows the program's output on stderr: stdout belongs to the answer of the xtask command.
pub fn run(command: &mut Command) -> Result<()> {
    run_through(command.stdout(io::stderr()))
}

/// Leaves stdout to the program.
pub fn run_through(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", name(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", name(command));
    }
    Ok(())
}

/// Shows nothing unless the program fails.
pub fn quiet(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

pub fn output(command: &mut Command) -> Result<String> {
    let bytes = output_bytes(command)?;
    String::from_utf8(bytes).with_context(|| format!("{} did not print text", name(command)))
}

pub fn output_bytes(command: &mut Command) -> Result<Vec<u8>> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", name(command)))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed ({}): {}", name(command), output.status, stderr.trim());
    }
    Ok(output.stdout)
}

fn name(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
