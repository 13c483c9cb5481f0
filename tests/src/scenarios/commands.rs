//! Commands that answer and end.

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;

use super::trials;
use crate::actor::run_as_nobody;
use crate::daemon::{command, program};

pub fn all() -> Vec<Trial> {
    trials(
        "commands",
        &[
            ("doctor", doctor),
            ("doctor_without_root", doctor_without_root),
            ("config_show_can_be_loaded", config_show_can_be_loaded),
            ("lists", lists),
            ("version", version),
        ],
    )
}

fn answer(args: &[&str]) -> Result<String> {
    let output = command(args)?;
    ensure!(output.status.success(), "{args:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

fn doctor() -> Result<()> {
    let text = answer(&["doctor"])?;
    for word in [
        "backend ",
        "kernel ",
        "static_pod_manifest",
        "runtime_api",
        "datastore_api",
        "kubelet_api",
        "not seen",
    ] {
        ensure!(text.contains(word), "no {word} in {text}");
    }
    Ok(())
}

fn doctor_without_root() -> Result<()> {
    let output = run_as_nobody(&program()?, ["doctor"])?;
    ensure!(output.status.code() == Some(3), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    for word in
        ["not root", "every kernel field was found", "run as root", "would watch /etc/kubernetes/manifests"]
    {
        ensure!(text.contains(word), "no {word} in {text}");
    }
    Ok(())
}

fn config_show_can_be_loaded() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("shown.yaml");
    std::fs::write(&file, answer(&["config", "show"])?)?;
    let shown = file.to_string_lossy().into_owned();
    let verdict = answer(&["config", "validate", &shown])?;
    ensure!(verdict.contains("valid; 25 targets, 11 rules"), "{verdict}");
    let again = answer(&["config", "show", "--config", &shown])?;
    let strip = |text: &str| {
        text.lines().map(|line| line.split(" #").next().unwrap_or(line).to_owned()).collect::<Vec<_>>()
    };
    let first = strip(&std::fs::read_to_string(&file)?);
    ensure!(first == strip(&again), "{again}");
    Ok(())
}

fn lists() -> Result<()> {
    for (what, word) in [
        ("classes", "runtime_api"),
        ("detections", "static_pod_manifest.write"),
        ("rules", "kubelet"),
        ("targets", "tcp/2379"),
        ("profiles", "kubeadm"),
    ] {
        let text = answer(&["list", what])?;
        ensure!(text.contains(word), "{what}: {text}");
    }
    Ok(())
}

fn version() -> Result<()> {
    let text = answer(&["--version"])?;
    let version = text.trim().strip_prefix("bypassd ").context("no name")?;
    ensure!(version.split('.').count() == 3, "{text}");
    Ok(())
}
