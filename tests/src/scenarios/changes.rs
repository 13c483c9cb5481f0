//! Manifest directories and files that come, go and change while they are watched.

use std::fs;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::json;

use super::files::Scene;
use super::{own_exe, trials};
use crate::actor::{act, shell};
use crate::daemon::{Daemon, manifests};
use crate::event::{at, expect};

pub fn all() -> Vec<Trial> {
    trials(
        "files",
        &[
            ("directory_made_later", directory_made_later),
            ("path_made_later", path_made_later),
            ("directory_made_anew", directory_made_anew),
            ("file_replaced_by_rename", file_replaced_by_rename),
            ("brief_processes_have_names", brief_processes_have_names),
        ],
    )
}

fn directory_made_later() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("manifests");
    let mut daemon = Daemon::fresh(&manifests(&path, ""))?;
    expect(
        daemon.started(),
        &json!({"lifecycle": {"targets_waiting": [
            {"class": "static_pod_manifest", "target": path, "why": "does not exist"}
        ]}}),
    )?;
    // Without waiting: the very first use counts.
    fs::create_dir(&path)?;
    act(["open", &path.join("a.yaml").to_string_lossy(), "create"])?;
    expect(&daemon.alert()?, &json!({"action": "create", "target": {"path": path.join("a.yaml")}}))?;
    daemon.wait_for("the target to be armed", |event| at(event, "/lifecycle/state") == "target_armed")?;
    daemon.finish().map(drop)
}

fn path_made_later() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("kubernetes/node/manifests");
    let mut daemon = Daemon::start(&manifests(&path, ""))?;
    fs::create_dir_all(&path)?;
    daemon.wait_for("the target to be armed", |event| at(event, "/lifecycle/state") == "target_armed")?;
    act(["open", &path.join("a.yaml").to_string_lossy(), "create"])?;
    expect(&daemon.alert()?, &json!({"target": {"path": path.join("a.yaml")}}))?;
    daemon.finish().map(drop)
}

fn directory_made_anew() -> Result<()> {
    let mut scene = Scene::new()?;
    let dir = scene.path("manifests");
    for _ in 0..20 {
        fs::remove_dir_all(&dir)?;
        fs::create_dir(&dir)?;
        act(["open", &scene.manifest.to_string_lossy(), "create"])?;
        // Removing the directory lists it, which is the test's own access.
        let own = own_exe()?;
        let alert = loop {
            let alert = scene.daemon.alert()?;
            if at(&alert, "/process/exe") != own.as_str() {
                break alert;
            }
        };
        expect(&alert, &json!({"action": "create", "target": {"path": scene.manifest}}))?;
    }
    scene.daemon.finish().map(drop)
}

fn file_replaced_by_rename() -> Result<()> {
    let mut scene = Scene::new()?;
    let other = scene.path("other.yaml");
    fs::write(&other, "kind: Pod\n")?;
    fs::rename(&other, &scene.manifest)?;
    act(["open", &scene.manifest.to_string_lossy(), "r"])?;
    expect(&scene.daemon.alert()?, &json!({"target": {"path": scene.manifest}}))?;
    scene.daemon.finish().map(drop)
}

/// However many processes change something and end at once, each is described.
fn brief_processes_have_names() -> Result<()> {
    const ROUNDS: usize = 200;
    let mut scene = Scene::new()?;
    let dir = scene.path("manifests");
    shell(&format!(
        "cd {}; echo >a.yaml; for i in $(seq {ROUNDS}); do mv a.yaml b.yaml; mv b.yaml a.yaml; done",
        dir.display()
    ))?;
    for _ in 0..2 * ROUNDS + 1 {
        let alert = scene.daemon.alert()?;
        ensure!(!at(&alert, "/process/exe").is_null(), "{alert:#}");
    }
    let Scene { dir: _dir, daemon, .. } = scene;
    daemon.finish().map(drop)
}
