//! A kernel that lets programs read only what it knows the type of: the daemon sees with that what it can, says what it cannot, and
//! where that is nothing it refuses to run.

use std::fs;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::json;

use super::{trials, ways};
use crate::actor::{Holder, act, copy_to};
use crate::daemon::{Daemon, command, manifests, paths, policy};
use crate::event::{at, expect};

/// Whether this kernel is such a one. It runs these tests and no others.
pub fn is_on() -> bool {
    let state = fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    state.contains("[confidentiality]")
}

/// Whether programs can have the current task with its type: since Linux 5.11.
fn has_types() -> bool {
    !rustix::system::uname().release().to_string_lossy().starts_with("5.10.")
}

pub fn all() -> Vec<Trial> {
    if !has_types() {
        return trials("lockdown", &[("run_refuses", run_refuses), ("doctor_refuses", doctor_refuses)]);
    }
    let mut trials = trials(
        "lockdown",
        &[
            ("says_what_it_does_not_see", says_what_it_does_not_see),
            ("doctor", doctor),
            ("a_living_process_is_named", a_living_process_is_named),
            ("an_allowed_process_is_known", an_allowed_process_is_known),
            ("a_long_name_is_no_wrong_one", a_long_name_is_no_wrong_one),
            ("selftest", selftest),
        ],
    );
    trials.extend(ways::all());
    trials
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

fn doctor_refuses() -> Result<()> {
    let output = command(&["doctor"])?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.code() == Some(3), "{}: {stdout}", output.status);
    for line in ["[confidentiality]", "backend       none: ", "static_pod_manifest: not watched"] {
        ensure!(stdout.contains(line), "no {line:?} in {stdout}");
    }
    Ok(())
}

fn doctor() -> Result<()> {
    let output = command(&["doctor"])?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    for line in ["[confidentiality]", "[lockdown]", "mount: write right after a mount"] {
        ensure!(stdout.contains(line), "no {line:?} in {stdout}");
    }
    Ok(())
}

fn selftest() -> Result<()> {
    let output = command(&["selftest"])?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn says_what_it_does_not_see() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let daemon = Daemon::fresh(&manifests(dir.path(), ""))?;
    let missing = at(daemon.started(), "/lifecycle/hooks_missing");
    ensure!(missing.as_array().is_none_or(Vec::is_empty), "{missing:#}");
    let gaps = at(daemon.started(), "/lifecycle/coverage_gaps").to_string();
    for gap in ["names of more than 31 bytes", "read from /proc after the access", "nobody listens"] {
        ensure!(gaps.contains(gap), "no {gap:?} in {gaps}");
    }
    Ok(())
}

/// What the kernel side cannot read is in /proc, as long as the process lives.
fn a_living_process_is_named() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("etcd.yaml");
    fs::write(&path, "kind: Pod\n")?;
    let mut daemon = Daemon::start(&manifests(dir.path(), ""))?;
    let programs = tempfile::tempdir()?;
    let program = copy_to(&programs.path().join("opener"))?;
    let holder = Holder::start(&program, ["open", &path.to_string_lossy(), "r"])?;
    let alert = daemon.alert()?;
    let args = [&program.to_string_lossy(), "hold", "open", &path.to_string_lossy(), "r"];
    let wanted = json!({
        "action": "open",
        "target": {"path": path},
        "process": {
            "pid": holder.pid(),
            "uid": 0,
            "exe": program,
            "args": args,
            "cwd": std::env::current_dir()?,
            "parent": {"pid": std::process::id(), "exe": std::env::current_exe()?},
        },
    });
    expect(&alert, &wanted)
}

fn an_allowed_process_is_known() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("etcd.yaml");
    fs::write(&path, "kind: Pod\n")?;
    let programs = tempfile::tempdir()?;
    let kubelet = copy_to(&programs.path().join("kubelet"))?;
    let rule = format!(
        "{{id: kubelet, targets: [static_pod_manifest], access: [read], process: {{exe: {}}}}}",
        kubelet.display()
    );
    let mut daemon = Daemon::start(&manifests(dir.path(), &rule))?;
    let _expected = Holder::start(&kubelet, ["open", &path.to_string_lossy(), "r"])?;
    let marker = || act(["open", &path.to_string_lossy(), "w"]);
    daemon.silent_until(marker, &json!({"action": "write"}))
}

/// A name that the kernel keeps elsewhere is not read: the event says where it was, and that it does not say all.
fn a_long_name_is_no_wrong_one() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let new = dir.path().join(format!("{}.pem", "x".repeat(40)));
    let pattern = dir.path().join("*.pem");
    let mut daemon = Daemon::start(&policy(&paths("credential", &[&pattern]), ""))?;
    act(["open", &new.to_string_lossy(), "create"])?;
    expect(
        &daemon.alert()?,
        &json!({"action": "create", "truncated": true, "target": {"path": dir.path()}}),
    )?;
    // When the daemon has looked again, it knows the file.
    loop {
        act(["open", &new.to_string_lossy(), "r"])?;
        let alert = daemon.alert()?;
        if at(&alert, "/target/path") == &json!(new) {
            return Ok(());
        }
        expect(&alert, &json!({"target": {"path": dir.path()}}))?;
    }
}
