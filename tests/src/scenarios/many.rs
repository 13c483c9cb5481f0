//! Many processes that live a millisecond each.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::json;

use super::trials;
use crate::actor::{must, program};
use crate::daemon::{Daemon, manifests};
use crate::event::{at, expect};
use crate::node::is_guest;

pub fn all() -> Vec<Trial> {
    trials("many", &[("short_lived_processes", short_lived_processes)])
}

fn short_lived_processes() -> Result<()> {
    let count: usize = if is_guest() { 200 } else { 1000 };
    let dir = tempfile::tempdir()?;
    let manifest = dir.path().join("etcd.yaml");
    fs::write(&manifest, "kind: Pod\n")?;
    let mut daemon = Daemon::fresh(&manifests(dir.path(), ""))?;
    let actor = program()?;
    must(&actor, ["many", &count.to_string(), &manifest.to_string_lossy()])?;
    let mut numbers = BTreeSet::new();
    let mut parents = BTreeSet::new();
    for _ in 0..count {
        let alert = daemon.alert()?;
        let number = at(&alert, "/process/args/4").as_str().unwrap_or_default().to_owned();
        expect(
            &alert,
            &json!({
                "target": {"path": manifest},
                "process": {
                    "exe": actor,
                    "args": [actor, "open", manifest, "r", number],
                    "parent": {"exe": actor, "comm": "actor"},
                },
            }),
        )?;
        ensure!(numbers.insert(number.clone()), "{number} was reported twice");
        parents.insert(at(&alert, "/process/parent/pid").as_u64());
        ensure!(at(&alert, "/process/ancestors/0/pid") == std::process::id(), "{alert:#}");
    }
    ensure!(parents.len() == 1, "one parent started all of them, not {parents:?}");
    // Says itself that nothing was lost, besides that nothing is missing.
    let events = daemon.finish()?;
    expect(events.last().context("no event")?, &json!({"lifecycle": {"state": "stopping", "alerts": count}}))
}
