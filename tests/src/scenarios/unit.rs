//! The unit that is shipped, under a real systemd: hardened as it is, it sees what it is there for, and is what systemd expects of a service.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::trials;
use crate::actor::{act, program, shell};
use crate::daemon::{manifests, program as bypassd};
use crate::event::{at, expect};
use crate::node::wait_until;

pub fn all() -> Vec<Trial> {
    trials(
        "unit",
        &[
            ("fentry", || sees("fentry")),
            ("kprobe", || sees("kprobe")),
            ("syscall", || sees("syscall")),
            ("reloads", reloads),
            ("restarted_when_killed", restarted_when_killed),
            ("restarted_when_it_hangs", restarted_when_it_hangs),
            ("bad_policy_is_not_tried_again", bad_policy_is_not_tried_again),
            ("stops", stops),
        ],
    )
}

const UNIT: &str = include_str!("../../../deploy/systemd/bypassd.service");

const POLICY: &str = "/etc/bypassd/policy.yaml";

/// The installed unit, and a directory that it watches.
struct Unit {
    dir: TempDir,
}

impl Unit {
    /// As README says, with these lines more.
    fn install(more: &str) -> Result<Self> {
        let dir = tempfile::tempdir_in("/var/lib")?;
        for path in ["/usr/local/bin", "/etc/bypassd", "/etc/systemd/system/bypassd.service.d"] {
            fs::create_dir_all(path)?;
        }
        fs::copy(bypassd()?, "/usr/local/bin/bypassd")?;
        fs::write(POLICY, manifests(dir.path(), ""))?;
        fs::write("/etc/systemd/system/bypassd.service", UNIT)?;
        fs::write("/etc/systemd/system/bypassd.service.d/test.conf", format!("[Service]\n{more}\n"))?;
        systemctl(&["daemon-reload"])?;
        Ok(Self { dir })
    }

    /// That it is started means that it said that it is ready.
    fn start(more: &str) -> Result<Self> {
        let unit = Self::install(more)?;
        systemctl(&["start", "bypassd"]).with_context(|| journal().unwrap_or_default())?;
        Ok(unit)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What is done in the directory is in the journal as what it was.
    fn sees(&self, name: &str) -> Result<Value> {
        let path = self.path(name);
        act(["open", &path.to_string_lossy(), "create"])?;
        let alert = event(|event| event["action"] == "create" && names(event, &path))?;
        let is_node = json!({"mnt": true, "pid": true, "net": true});
        expect(&alert, &json!({"kind": "alert", "process": {"exe": program()?, "host_ns": is_node}}))?;
        Ok(alert)
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        // It may not run, or have failed as it should.
        let _ended = systemctl(&["stop", "bypassd"]);
        let _ended = systemctl(&["reset-failed", "bypassd"]);
    }
}

fn systemctl(args: &[&str]) -> Result<Output> {
    let output = Command::new("systemctl").args(args).output()?;
    ensure!(output.status.success(), "systemctl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output)
}

fn property(name: &str) -> Result<String> {
    let output = systemctl(&["show", "bypassd", "--value", "--property", name])?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn journal() -> Result<String> {
    let output = Command::new("journalctl").args(["--unit", "bypassd", "--output", "cat"]).output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

fn events() -> Result<Vec<Value>> {
    Ok(journal()?.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// Waits for one.
fn event(wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    let find = || events().ok()?.into_iter().rev().find(|event| wanted(event));
    wait_until("an event in the journal", || find().is_some())
        .with_context(|| journal().unwrap_or_default())?;
    find().context("it is gone")
}

fn names(event: &Value, path: &Path) -> bool {
    at(event, "/target/path") == &json!(path)
}

fn sees(backend: &str) -> Result<()> {
    let run = format!("/usr/local/bin/bypassd run --config {POLICY} --format native --backend {backend}");
    let unit = Unit::start(&format!("ExecStart=\nExecStart={run}"))?;
    let alert = unit.sees("a.yaml")?;
    expect(&alert, &json!({"agent": {"backend": backend}}))?;
    let path = unit.path("a.yaml");
    shell(&format!("mv {0} {0}.old; rm {0}.old", path.display()))?;
    event(|event| {
        event["action"] == "unlink"
            && at(event, "/target/path").as_str().is_some_and(|path| path.ends_with(".old"))
    })?;
    let run = &alert["run_id"];
    let started = event(|event| event["run_id"] == *run && event["lifecycle"]["state"] == "started")?;
    let gaps = at(&started, "/lifecycle/coverage_gaps").to_string();
    ensure!(!gaps.contains("not proven"), "{gaps}");
    let cgroup = at(&alert, "/process/unit");
    ensure!(cgroup == "job.service", "{alert:#}");
    Ok(())
}

fn reloads() -> Result<()> {
    let unit = Unit::start("")?;
    let other = tempfile::tempdir_in("/var/lib")?;
    fs::write(POLICY, manifests(other.path(), ""))?;
    systemctl(&["reload", "bypassd"])?;
    let path = other.path().join("b.yaml");
    event(|event| event["lifecycle"]["state"] == "reloaded")?;
    act(["open", &path.to_string_lossy(), "create"])?;
    event(|event| event["kind"] == "alert" && names(event, &path))?;
    drop(unit);
    Ok(())
}

fn restarted_when_killed() -> Result<()> {
    let unit = Unit::start("")?;
    let pid = property("MainPID")?;
    shell(&format!("kill -KILL {pid}"))?;
    wait_until("another process", || is_another(&pid))?;
    unit.sees("again.yaml").map(drop)
}

fn is_another(pid: &str) -> bool {
    let is_active = property("ActiveState").is_ok_and(|state| state == "active");
    is_active && property("MainPID").is_ok_and(|now| now != pid && now != "0")
}

fn restarted_when_it_hangs() -> Result<()> {
    let unit = Unit::start("WatchdogSec=5")?;
    let pid = property("MainPID")?;
    shell(&format!("kill -STOP {pid}"))?;
    wait_until("another process", || is_another(&pid))?;
    ensure!(property("NRestarts")? == "1", "restarted {} times", property("NRestarts")?);
    unit.sees("again.yaml").map(drop)
}

fn bad_policy_is_not_tried_again() -> Result<()> {
    let _unit = Unit::install("")?;
    fs::write(POLICY, "targets: {nothing: {}}\n")?;
    ensure!(systemctl(&["start", "bypassd"]).is_err(), "it started");
    wait_until("its end", || property("ActiveState").is_ok_and(|state| state == "failed"))?;
    ensure!(property("ExecMainStatus")? == "2" && property("NRestarts")? == "0", "it was tried again");
    ensure!(journal()?.contains("policy.yaml"), "it does not say why");
    Ok(())
}

fn stops() -> Result<()> {
    let unit = Unit::start("")?;
    let alert = unit.sees("last.yaml")?;
    systemctl(&["stop", "bypassd"])?;
    ensure!(property("Result")? == "success", "{}", property("Result")?);
    let run = &alert["run_id"];
    event(|event| event["run_id"] == *run && event["lifecycle"]["state"] == "stopping").map(drop)
}
