//! A kernel that lets nobody read its memory: the daemon must not claim to see, and says why it does not.

use std::fs;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;

use super::trials;
use crate::daemon::{command, manifests};

/// Whether this kernel is such a one. It runs these tests and no others.
pub fn is_on() -> bool {
    let state = fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    state.contains("[confidentiality]")
}

pub fn all() -> Vec<Trial> {
    trials("lockdown", &[("run_refuses", run_refuses), ("doctor_says_it", doctor_says_it)])
}

fn run_refuses() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let policy = dir.path().join("policy.yaml");
    fs::write(&policy, manifests(dir.path(), ""))?;
    let output = command(&["run", "--config", &policy.to_string_lossy()])?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(3), "{}: {stderr}", output.status);
    ensure!(output.stdout.is_empty(), "it says it started: {}", String::from_utf8_lossy(&output.stdout));
    ensure!(stderr.contains("bpf_probe_read"), "not what the kernel refused: {stderr}");
    ensure!(stderr.lines().count() == 1, "the verifier's log is for nobody: {stderr}");
    Ok(())
}

fn doctor_says_it() -> Result<()> {
    let output = command(&["doctor"])?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.code() == Some(3), "{}: {stdout}", output.status);
    for line in ["[confidentiality]", "backend       none: ", "static_pod_manifest: not watched"] {
        ensure!(stdout.contains(line), "no {line:?} in {stdout}");
    }
    Ok(())
}
