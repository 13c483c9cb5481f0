//! The daemon that served the tests before this one: it keeps nothing of them.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::json;

use super::trials;
use crate::actor::{must, program};
use crate::daemon::{Daemon, end_idle, manifests};
use crate::event::expect;
use crate::node::wait_until;

/// Policies, each about another directory.
const ROUNDS: u32 = 20;

/// KiB.
const LARGEST: u64 = 40 << 10;

/// The last of all tests.
pub fn all() -> Vec<Trial> {
    trials("served", &[("keeps_nothing", keeps_nothing)])
}

fn keeps_nothing() -> Result<()> {
    let (pid, first) = round()?;
    for _ in 1..ROUNDS {
        round()?;
    }
    // It opens some for a moment, whenever it looks at the node.
    wait_until("as few open files as before", || open_files(pid).is_ok_and(|count| count <= first))?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    let resident: u64 = resident.context("no VmRSS")?.trim().parse()?;
    ensure!(resident < LARGEST, "{resident} KiB are resident");
    let events = end_idle()?.context("no daemon waits")?;
    let last = events.last().context("no event")?;
    expect(last, &json!({"lifecycle": {"state": "stopping"}}))
}

/// Another policy and an access. Which process the daemon is, and how many files it has open after it.
fn round() -> Result<(u32, usize)> {
    let dir = tempfile::tempdir()?;
    let manifest = dir.path().join("etcd.yaml");
    fs::write(&manifest, "kind: Pod\n")?;
    let mut daemon = Daemon::start(&manifests(dir.path(), ""))?;
    must(&program()?, ["open", &manifest.to_string_lossy(), "r"])?;
    expect(&daemon.alert()?, &json!({"target": {"path": manifest}}))?;
    let pid = daemon.pid();
    daemon.finish()?;
    Ok((pid, open_files(pid)?))
}

fn open_files(pid: u32) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}
