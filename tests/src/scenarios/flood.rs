//! One process does the same as fast as it can, on all CPUs: what others do is reported, and every access is counted.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::trials;
use crate::actor::{act, program};
use crate::daemon::{Daemon, manifests};
use crate::event::at;
use crate::node::is_guest;

pub fn all() -> Vec<Trial> {
    trials("flood", &[("counts_are_exact", counts_are_exact)])
}

fn counts_are_exact() -> Result<()> {
    let (threads, each): (u64, u64) = (2, if is_guest() { 10_000 } else { 100_000 });
    let dir = tempfile::tempdir()?;
    let (noisy, quiet) = (dir.path().join("noisy.yaml"), dir.path().join("quiet.yaml"));
    fs::write(&noisy, "kind: Pod\n")?;
    fs::write(&quiet, "kind: Pod\n")?;
    let mut daemon = Daemon::start(&manifests(dir.path(), ""))?;
    let mut flood = Command::new(program()?)
        .args(["hammer", &threads.to_string(), &each.to_string()])
        .arg(&noisy)
        .spawn()
        .context("cannot start the flood")?;
    let of_flood = |event: &Value| at(event, "/process/pid") == flood.id();
    daemon.wait_for("the flood", |event| event["kind"] == "alert" && of_flood(event))?;
    act(["open", &quiet.to_string_lossy(), "r"])?;
    daemon.wait_for("the single access", |event| at(event, "/target/path") == &json!(quiet))?;
    let pid = flood.id();
    ensure!(flood.wait()?.success(), "the flood failed");
    let (_, events) = daemon.stop(Signal::TERM)?;
    let of_flood = |event: &&Value| at(event, "/process/pid") == pid;
    let counted: u64 = events.iter().filter(of_flood).map(|event| event["count"].as_u64().unwrap_or(1)).sum();
    ensure!(counted == threads * each, "{counted} of {} accesses are in the events", threads * each);
    let lost = events.iter().find(|event| event["health"]["state"] == "loss");
    ensure!(lost.is_none(), "{lost:#?}");
    let few = events.iter().filter(of_flood).count();
    ensure!(few < 100, "{few} events of one process that repeats itself");
    let summary = events.iter().find(|event| !event["count"].is_null()).context("no count")?;
    ensure!(at(summary, "/first_time").is_string() && at(summary, "/last_time").is_string(), "{summary:#}");
    Ok(())
}
