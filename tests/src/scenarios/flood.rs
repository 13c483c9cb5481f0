//! One process does the same as fast as it can: what others do is reported, and every access is counted.

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::trials;
use crate::actor::{act, must, program};
use crate::daemon::{Daemon, is_loss, manifests, policy};
use crate::event::at;
use crate::node::{is_guest, is_preemptible};

pub fn all() -> Vec<Trial> {
    trials(
        "flood",
        &[
            ("counts_are_exact", counts_are_exact),
            ("interrupted_opens", interrupted_opens),
            ("interrupted_connects", interrupted_connects),
            ("skipped_runs_are_told", skipped_runs_are_told),
        ],
    )
}

fn counts_are_exact() -> Result<()> {
    let threads = u64::try_from(thread::available_parallelism()?.get())?;
    let each: u64 = if is_guest() { 10_000 } else { 100_000 };
    let dir = tempfile::tempdir()?;
    let (noisy, quiet) = (dir.path().join("noisy.yaml"), dir.path().join("quiet.yaml"));
    fs::write(&noisy, "kind: Pod\n")?;
    fs::write(&quiet, "kind: Pod\n")?;
    let mut daemon = Daemon::fresh(&manifests(dir.path(), ""))?;
    let mut flood = Command::new(program()?)
        .args(["hammer", "each", &threads.to_string(), &each.to_string()])
        .arg(&noisy)
        .spawn()
        .context("cannot start the flood")?;
    let of_flood = |event: &Value| at(event, "/process/pid") == flood.id();
    daemon.wait_for("the flood", |event| event["kind"] == "alert" && of_flood(event))?;
    act(["open", &quiet.to_string_lossy(), "r"])?;
    daemon.wait_for("the single access", |event| at(event, "/target/path") == &json!(quiet))?;
    let pid = flood.id();
    ensure!(flood.wait()?.success(), "the flood failed");
    let most = kibibytes(daemon.pid(), "VmHWM:")?;
    ensure!(most < 40 << 10, "{most} KiB of memory at most");
    let (_, events) = daemon.stop(Signal::TERM)?;
    let of_flood = |event: &&Value| at(event, "/process/pid") == pid;
    let counted: u64 = events.iter().filter(of_flood).map(|event| event["count"].as_u64().unwrap_or(1)).sum();
    ensure!(counted == threads * each, "{counted} of {} accesses are in the events", threads * each);
    let lost = events.iter().find(|event| is_loss(event));
    ensure!(lost.is_none(), "{lost:#?}");
    let few = events.iter().filter(of_flood).count();
    ensure!(few < 100, "{few} events of one process that repeats itself");
    let summary = events.iter().find(|event| !event["count"].is_null()).context("no count")?;
    ensure!(at(summary, "/first_time").is_string() && at(summary, "/last_time").is_string(), "{summary:#}");
    Ok(())
}

/// A line of /proc/PID/status.
fn kibibytes(pid: u32, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Threads that interrupt each other on one CPU, in the kernel too if it can be.
const TOGETHER: u64 = 3;

fn interrupted_opens() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let manifest = dir.path().join("a.yaml");
    fs::write(&manifest, "kind: Pod\n")?;
    let each = 10_000;
    let daemon = Daemon::fresh(&manifests(dir.path(), ""))?;
    hammer_one(each, &manifest.to_string_lossy())?;
    all_are_counted(daemon, "open", TOGETHER * each)
}

fn interrupted_connects() -> Result<()> {
    let (port, each) = (sink()?, 3000);
    let daemon = Daemon::fresh(&policy(&format!("datastore_api: {{ports: [{port}]}}"), ""))?;
    hammer_one(each, &port.to_string())?;
    all_are_counted(daemon, "connect", TOGETHER * each)
}

/// Programs that the kernel skips are asked for by name: it is said before and after.
fn skipped_runs_are_told() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let manifest = dir.path().join("a.yaml");
    fs::write(&manifest, "kind: Pod\n")?;
    let backend = if is_preemptible() { "fentry" } else { "auto" };
    let daemon = Daemon::start_with(Some(&manifests(dir.path(), "")), &["--backend", backend])?;
    let gaps = at(daemon.started(), "/lifecycle/coverage_gaps").to_string();
    if !is_preemptible() {
        // Outside of a guest the mode may not be there to read, and then it is said to be safe.
        ensure!(!is_guest() || !gaps.contains("may skip the program"), "{gaps}");
        return daemon.finish().map(drop);
    }
    ensure!(gaps.contains("may skip the program"), "{gaps}");
    hammer_one(10_000, &manifest.to_string_lossy())?;
    let (_, events) = daemon.stop(Signal::TERM)?;
    let missed = events.iter().filter_map(|event| at(event, "/health/lost/missed_runs").as_u64());
    ensure!(missed.sum::<u64>() > 0, "nothing was skipped, or it was not said");
    Ok(())
}

fn hammer_one(each: u64, object: &str) -> Result<()> {
    must(&program()?, ["hammer", "one", &TOGETHER.to_string(), &each.to_string(), object])
}

fn all_are_counted(daemon: Daemon, action: &str, all: u64) -> Result<()> {
    let (_, events) = daemon.stop(Signal::TERM)?;
    let alerts = events.iter().filter(|event| event["kind"] == "alert" && event["action"] == action);
    let counted: u64 = alerts.map(|event| event["count"].as_u64().unwrap_or(1)).sum();
    ensure!(counted == all, "{counted} of {all} accesses are in the events");
    let lost = events.iter().find(|event| is_loss(event));
    ensure!(lost.is_none(), "{lost:#?}");
    Ok(())
}

/// A port whose connections are accepted and ended.
fn sink() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || listener.incoming().for_each(drop));
    Ok(port)
}
