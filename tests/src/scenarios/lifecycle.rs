//! How a run begins and ends, and where its events go.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::trials;
use crate::actor::act;
use crate::daemon::{self, Daemon, command, manifests};
use crate::event::{at, expect};
use crate::node::is_preemptible;

pub fn all() -> Vec<Trial> {
    trials(
        "lifecycle",
        &[
            ("started", started),
            ("sigterm", sigterm),
            ("sigint", sigint),
            ("duration", duration),
            ("exit_code", exit_code),
            ("closed_output", closed_output),
            ("own_accesses", own_accesses),
            ("output_file", output_file),
            ("hostile_output_file", hostile_output_file),
            ("text", text),
            ("default_profile", default_profile),
        ],
    )
}

fn started() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let daemon = Daemon::fresh(&manifests(dir.path(), ""))?;
    let started = daemon.started();
    expect(
        started,
        &json!({
            "schema": "1.0",
            "seq": 1,
            "severity": "info",
            "lifecycle": {
                "hooks_missing": [],
                "targets_armed": [{"class": "static_pod_manifest", "target": dir.path()}],
                "targets_waiting": [],
            },
        }),
    )?;
    let backend = at(started, "/lifecycle/backend").as_str().context("no backend")?;
    let expected: &[&str] = if is_preemptible() { &["kprobe"] } else { &["fentry", "syscall"] };
    ensure!(expected.contains(&backend), "backend {backend}");
    ensure!(at(started, "/agent/config_sha256").as_str().is_some_and(|hash| hash.len() == 64), "{started:#}");
    daemon.finish().map(drop)
}

fn ends_with(signal: Signal, name: &str) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let daemon = Daemon::fresh(&manifests(dir.path(), ""))?;
    let (status, events) = daemon.stop(signal)?;
    ensure!(status.code() == Some(0), "{status}");
    let stopping = json!({"lifecycle": {"state": "stopping", "reason": name, "alerts": 0}});
    expect(events.last().context("no events")?, &stopping)
}

fn sigterm() -> Result<()> {
    ends_with(Signal::TERM, "SIGTERM")
}

fn sigint() -> Result<()> {
    ends_with(Signal::INT, "SIGINT")
}

fn duration() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut daemon =
        Daemon::start_with(Some(&manifests(dir.path(), "")), &["--duration", "1s", "--exit-code"])?;
    let (status, _) = daemon.end()?;
    ensure!(status.code() == Some(0), "{status}");
    Ok(())
}

fn exit_code() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut daemon = Daemon::start_with(Some(&manifests(dir.path(), "")), &["--exit-code"])?;
    act(["open", &dir.path().join("x").to_string_lossy(), "create"])?;
    daemon.alert()?;
    let (status, _) = daemon.stop(Signal::TERM)?;
    ensure!(status.code() == Some(1), "{status}");
    Ok(())
}

fn closed_output() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let policy = dir.path().join("policy.yaml");
    fs::write(&policy, manifests(dir.path(), ""))?;
    let mut child = Command::new(daemon::program()?)
        .args(["run", "--config"])
        .arg(&policy)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // Nobody reads, from the start.
    drop(child.stdout.take());
    let output = child.wait_with_output()?;
    ensure!(output.status.code() == Some(0), "{}", output.status);
    ensure!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn own_accesses() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut daemon = Daemon::fresh(&manifests(dir.path(), ""))?;
    let pid = daemon.pid();
    // Each change makes the daemon look at the directory.
    for index in 0..20 {
        act(["open", &dir.path().join(index.to_string()).to_string_lossy(), "create"])?;
        let alert = daemon.alert()?;
        ensure!(at(&alert, "/process/pid") != pid, "{alert:#}");
    }
    daemon.finish().map(drop)
}

fn output_file() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (watched, output) = (dir.path().join("manifests"), dir.path().join("events"));
    fs::create_dir(&watched)?;
    let policy = dir.path().join("policy.yaml");
    fs::write(&policy, manifests(&watched, ""))?;
    let ran = command(&[
        "run",
        "--config",
        &policy.to_string_lossy(),
        "--output",
        &output.to_string_lossy(),
        "--duration",
        "1s",
    ])?;
    ensure!(ran.status.code() == Some(0) && ran.stdout.is_empty(), "{ran:?}");
    let mode = fs::metadata(&output)?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "mode {mode:o}");
    let lines = fs::read_to_string(&output)?;
    let events: Vec<Value> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(events.len() == 3, "{events:#?}");
    expect(&events[0], &json!({"seq": 1, "lifecycle": {"state": "started"}}))
}

fn hostile_output_file() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let link = dir.path().join("link");
    symlink("/etc/passwd", &link)?;
    for path in [&link, dir.path()] {
        let ran = command(&["run", "--output", &path.to_string_lossy()])?;
        let stderr = String::from_utf8_lossy(&ran.stderr);
        ensure!(ran.status.code() == Some(2), "{path:?}: {ran:?}");
        ensure!(stderr.lines().count() == 1 && stderr.contains("name a regular file"), "{stderr}");
    }
    Ok(())
}

fn text() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (watched, policy) = (dir.path().join("manifests"), dir.path().join("policy.yaml"));
    fs::create_dir(&watched)?;
    fs::write(&policy, manifests(&watched, ""))?;
    let output = dir.path().join("events");
    let mut child = Command::new(daemon::program()?)
        .args(["run", "--format", "text", "--exit-code", "--config"])
        .arg(&policy)
        .arg("--output")
        .arg(&output)
        .spawn()?;
    let wait = |what: &str| -> Result<String> {
        for _ in 0..12_000 {
            let text = fs::read_to_string(&output).unwrap_or_default();
            if text.contains(what) {
                return Ok(text);
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        anyhow::bail!("no {what} in the output")
    };
    wait("watching")?;
    let hostile = watched.join("\u{1b}[2J\u{202e}\n.yaml");
    act(["open", &hostile.to_string_lossy(), "create"])?;
    let text = wait("static_pod_manifest.write")?;
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM)?;
    ensure!(child.wait()?.code() == Some(1), "an alert was found");
    ensure!(text.contains("\\u{1b}[2J\\u{202e}\\n.yaml"), "{text}");
    ensure!(text.chars().all(|char| char == '\n' || !char.is_control()), "{text:?}");
    Ok(())
}

fn default_profile() -> Result<()> {
    let dir = std::path::Path::new("/etc/kubernetes/manifests");
    let made: Vec<_> = dir.ancestors().take_while(|dir| !dir.exists()).collect();
    fs::create_dir_all(dir)?;
    let manifest = dir.join("bypassd-e2e.yaml");
    fs::write(&manifest, "kind: Pod\n")?;
    let result = (|| {
        let mut daemon = Daemon::start_with(None, &[])?;
        act(["open", &manifest.to_string_lossy(), "r"])?;
        let alert = daemon.wait_for("the alert", |event| at(event, "/target/path") == &json!(manifest))?;
        expect(&alert, &json!({"kind": "alert", "verdict": {"reason": "exe_mismatch"}}))
    })();
    fs::remove_file(&manifest)?;
    // Only what was not there before.
    for dir in made {
        fs::remove_dir(dir)?;
    }
    result
}
