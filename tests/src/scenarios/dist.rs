//! The archive that is handed out, on a machine that has nothing of ours.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::trials;
use crate::actor::shell;

pub fn all() -> Vec<Trial> {
    trials(
        "dist",
        &[
            ("the_three_commands", the_three_commands),
            ("changed_on_its_way", changed_on_its_way),
            ("holds_what_it_says", holds_what_it_says),
        ],
    )
}

/// Unpacks it, and gives the directory inside.
fn unpacked() -> Result<(TempDir, PathBuf)> {
    let archive =
        std::env::var("BYPASSD_DIST").context("BYPASSD_DIST names no archive; run `cargo xtask e2e`")?;
    let dir = tempfile::tempdir()?;
    shell(&format!("tar -xzf {archive} -C {}", dir.path().display()))?;
    let inside = fs::read_dir(dir.path())?.next().context("the archive is empty")??.path();
    Ok((dir, inside))
}

/// The README's commands, in order.
fn commands(dir: &Path) -> Result<Vec<String>> {
    let readme = fs::read_to_string(dir.join("README.md"))?;
    let lines = readme.lines().filter_map(|line| line.strip_prefix("    "));
    Ok(lines.map(str::to_owned).collect())
}

/// As somebody types it who has just logged in.
fn typed(dir: &Path, line: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("exec {line}")]).current_dir(dir);
    shell.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
    shell
}

fn the_three_commands() -> Result<()> {
    let (_dir, inside) = unpacked()?;
    let commands = commands(&inside)?;
    let [check, doctor, run] = commands.as_slice() else { anyhow::bail!("not three: {commands:#?}") };
    let checked = typed(&inside, check).output()?;
    ensure!(
        checked.status.success() && checked.stdout.is_empty() && checked.stderr.is_empty(),
        "{checked:?}"
    );
    let doctor = typed(&inside, doctor).output()?;
    ensure!(doctor.status.success() && !doctor.stdout.is_empty(), "{doctor:?}");
    let mut running = typed(&inside, run).stdout(Stdio::piped()).spawn()?;
    let mut first = String::new();
    BufReader::new(running.stdout.take().context("no stdout")?).read_line(&mut first)?;
    kill_process(Pid::from_child(&running), Signal::INT)?;
    running.wait()?;
    let first: Value = serde_json::from_str(&first).with_context(|| first.clone())?;
    ensure!(first["lifecycle"]["state"] == "started", "{first:#}");
    Ok(())
}

fn changed_on_its_way() -> Result<()> {
    let (_dir, inside) = unpacked()?;
    fs::write(inside.join("LICENSE-MIT"), "no license\n")?;
    let commands = commands(&inside)?;
    let checked = typed(&inside, commands.first().context("no command")?).output()?;
    ensure!(!checked.status.success(), "{checked:?}");
    let said = String::from_utf8_lossy(&checked.stdout);
    ensure!(said.contains("LICENSE-MIT: FAILED"), "{said}");
    Ok(())
}

fn holds_what_it_says() -> Result<()> {
    let (_dir, inside) = unpacked()?;
    let time: i64 = std::env::var("SOURCE_DATE_EPOCH").map_or(Ok(0), |time| time.parse())?;
    for name in [
        "completions/_bypassd",
        "completions/bypassd.bash",
        "deploy/kubernetes/daemonset.yaml",
        "man/bypassd.1",
        "man/bypassd-run.1",
        "LICENSE-APACHE",
    ] {
        let file = fs::metadata(inside.join(name)).with_context(|| name.to_owned())?;
        ensure!(file.len() > 0 && file.uid() == 0 && file.mtime() == time, "{name}: {file:?}");
    }
    // Every file has its hash.
    let sums = fs::read_to_string(inside.join("SHA256SUMS"))?;
    let files = String::from_utf8(Command::new("find").arg(&inside).args(["-type", "f"]).output()?.stdout)?;
    ensure!(sums.lines().count() + 1 == files.lines().count(), "{sums}{files}");
    let script = inside.join("completions/bypassd.bash");
    let read = Command::new("bash").arg("-n").arg(&script).output()?;
    ensure!(read.status.success(), "{read:?}");
    let sbom: Value = serde_json::from_slice(&fs::read(inside.join("sbom.cdx.json"))?)?;
    let hash = sbom["metadata"]["component"]["hashes"][0]["content"].as_str().context("no hash")?;
    ensure!(sums.contains(&format!("{hash}  bypassd\n")), "{hash} is not the hash of bypassd");
    Ok(())
}
