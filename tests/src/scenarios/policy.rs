//! Who is expected and who only looks like it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::trials;
use crate::actor::{copy_to, must, run_as_nobody, shell};
use crate::daemon::{Daemon, manifests};
use crate::event::expect;

pub fn all() -> Vec<Trial> {
    trials(
        "policy",
        &[
            ("expected_is_silent", expected_is_silent),
            ("show_allowed", show_allowed),
            ("access_not_allowed", access_not_allowed),
            ("copy", copy),
            ("renamed_process", renamed_process),
            ("other_file_at_the_path", other_file_at_the_path),
            ("wrong_user", wrong_user),
            ("arguments", arguments),
            ("ancestors", ancestors),
            ("namespaces", namespaces),
            ("severity", severity),
            ("replaced_by_an_upgrade", replaced_by_an_upgrade),
            ("inode_number_used_again", inode_number_used_again),
            ("allowed_executable_made_later", allowed_executable_made_later),
        ],
    )
}

/// A watched manifest, and an executable that may read it as root.
struct Scene {
    dir: TempDir,
    manifest: PathBuf,
    kubelet: PathBuf,
}

impl Scene {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        // Another user has to get at the files.
        shell(&format!("chmod 755 {}", dir.path().display()))?;
        fs::create_dir(dir.path().join("manifests"))?;
        let manifest = dir.path().join("manifests/etcd.yaml");
        fs::write(&manifest, "kind: Pod\n")?;
        let kubelet = copy_to(&dir.path().join("kubelet"))?;
        Ok(Self { dir, manifest, kubelet })
    }

    fn policy(&self) -> Result<String> {
        let dir = self.manifest.parent().unwrap_or(Path::new("/"));
        let process = format!("{{exe: {}, uid: 0}}", self.kubelet.display());
        let rule =
            format!("{{id: kubelet, targets: [static_pod_manifest], access: [read], process: {process}}}");
        Ok(manifests(dir, &rule))
    }

    /// A rule about such processes.
    fn start_with(&self, process: &str) -> Result<Daemon> {
        let dir = self.manifest.parent().unwrap_or(Path::new("/"));
        let rule = format!("{{id: a, targets: [static_pod_manifest], process: {{{process}}}}}");
        Daemon::start(&manifests(dir, &rule))
    }

    fn start(&self) -> Result<Daemon> {
        Daemon::start(&self.policy()?)
    }

    fn read_with(&self, program: &Path) -> Result<()> {
        must(program, ["open", &self.manifest.to_string_lossy(), "r"])
    }
}

/// The next alert, and nothing else, is for this reason.
fn refused(mut daemon: Daemon, exe: &Path, reason: &str) -> Result<()> {
    let verdict = json!({"result": "violation", "reason": reason});
    expect(&daemon.alert()?, &json!({"verdict": verdict, "process": {"exe": exe}}))?;
    daemon.finish().map(drop)
}

fn expected_is_silent() -> Result<()> {
    let scene = Scene::new()?;
    let other = copy_to(&scene.dir.path().join("other"))?;
    let mut daemon = scene.start()?;
    for _ in 0..10 {
        scene.read_with(&scene.kubelet)?;
    }
    daemon.silent_until(|| scene.read_with(&other), &json!({"process": {"exe": other}}))?;
    let events = daemon.finish()?;
    let accesses =
        events.iter().filter(|event| event["kind"] == "alert" || event["kind"] == "allowed").count();
    ensure!(accesses == 1, "the marker alone, and not {events:#?}");
    Ok(())
}

fn show_allowed() -> Result<()> {
    let scene = Scene::new()?;
    let mut daemon = Daemon::start_with(Some(&scene.policy()?), &["--show-allowed"])?;
    scene.read_with(&scene.kubelet)?;
    let event = daemon.wait_for("an allowed access", |event| event["kind"] == "allowed")?;
    expect(
        &event,
        &json!({
            "severity": "info",
            "verdict": {"result": "allowed", "reason": "rule_matched", "matched": "kubelet"},
            "process": {"exe": scene.kubelet},
        }),
    )?;
    let events = daemon.finish()?;
    ensure!(events.len() == 4, "started, the snapshot, allowed and stopping, and not {events:#?}");
    Ok(())
}

fn access_not_allowed() -> Result<()> {
    let scene = Scene::new()?;
    let daemon = scene.start()?;
    must(&scene.kubelet, ["open", &scene.manifest.to_string_lossy(), "w"])?;
    refused(daemon, &scene.kubelet, "access_not_allowed")
}

fn copy() -> Result<()> {
    let scene = Scene::new()?;
    fs::create_dir(scene.dir.path().join("tmp"))?;
    let copy = copy_to(&scene.dir.path().join("tmp/kubelet"))?;
    let daemon = scene.start()?;
    scene.read_with(&copy)?;
    refused(daemon, &copy, "exe_mismatch")
}

fn renamed_process() -> Result<()> {
    let scene = Scene::new()?;
    let other = copy_to(&scene.dir.path().join("other"))?;
    let mut daemon = scene.start()?;
    must(&other, ["renamed", "kubelet", "open", &scene.manifest.to_string_lossy(), "r"])?;
    let alert: Value = daemon.alert()?;
    let process = json!({"comm": "kubelet", "exe": other});
    expect(&alert, &json!({"verdict": {"reason": "exe_mismatch"}, "process": process}))?;
    daemon.finish().map(drop)
}

/// What a container's own /usr/bin/kubelet is: the same path, another file.
fn other_file_at_the_path() -> Result<()> {
    let scene = Scene::new()?;
    let other = copy_to(&scene.dir.path().join("other"))?;
    let daemon = scene.start()?;
    let (kubelet, manifest) = (scene.kubelet.display(), scene.manifest.display());
    shell(&format!(
        "unshare -m sh -ec 'mount --bind {} {kubelet}; exec {kubelet} open {manifest} r'",
        other.display()
    ))?;
    refused(daemon, &scene.kubelet, "exe_not_node_file")
}

fn arguments() -> Result<()> {
    let scene = Scene::new()?;
    let (kubelet, manifest) = (scene.kubelet.display(), scene.manifest.to_string_lossy().into_owned());
    let mut daemon =
        scene.start_with(&format!("exe: {kubelet}, args: ['open /*/etcd.yaml r', 'other *']"))?;
    scene.read_with(&scene.kubelet)?;
    must(&scene.kubelet, ["open", &manifest, "r", "more"])?;
    let alert = json!({"verdict": {"reason": "args_mismatch"}, "process": {"exe": scene.kubelet}});
    expect(&daemon.alert()?, &alert)?;
    // What is not known whole could be anything.
    must(&scene.kubelet, ["open", &manifest, "r", &"x".repeat(100_000)])?;
    let cut = daemon.alert()?;
    expect(&cut, &json!({"verdict": {"reason": "args_mismatch"}, "process": {"args_truncated": true}}))?;
    daemon.finish().map(drop)
}

/// Who was started by an allowed program, and who only by one that is called so.
fn ancestors() -> Result<()> {
    let scene = Scene::new()?;
    let starter = scene.dir.path().join("sh");
    fs::copy("/bin/sh", &starter)?;
    let mut daemon = scene.start_with(&format!("ancestors: {}", starter.display()))?;
    let read = format!("{} open {} r; true", scene.kubelet.display(), scene.manifest.display());
    must(&starter, ["-c", &read])?;
    must(&starter, ["-c", &format!("/bin/sh -c '{read}'; true")])?;
    must(Path::new("/bin/sh"), ["-c", &read])?;
    let alert = json!({"verdict": {"reason": "ancestor_mismatch"}, "process": {"exe": scene.kubelet}});
    expect(&daemon.alert()?, &alert)?;
    let mounted = format!("mount --bind /bin/sh {0}; {0} -c '{read}'", starter.display());
    shell(&format!("unshare -m sh -ec \"{mounted}\""))?;
    expect(&daemon.alert()?, &alert)?;
    daemon.finish().map(drop)
}

fn namespaces() -> Result<()> {
    let scene = Scene::new()?;
    let mut daemon =
        scene.start_with(&format!("exe: {}, host_ns: {{mnt: true}}", scene.kubelet.display()))?;
    scene.read_with(&scene.kubelet)?;
    let (kubelet, manifest) = (scene.kubelet.display(), scene.manifest.display());
    shell(&format!("unshare -n {kubelet} open {manifest} r"))?;
    shell(&format!("unshare -m {kubelet} open {manifest} r"))?;
    let alert = json!({
        "verdict": {"reason": "namespace_mismatch"},
        "process": {"exe": scene.kubelet, "host_ns": {"mnt": false, "net": true}},
    });
    expect(&daemon.alert()?, &alert)?;
    daemon.finish().map(drop)
}

fn severity() -> Result<()> {
    let scene = Scene::new()?;
    let severity = "severity: {static_pod_manifest: critical}\n";
    let mut daemon = Daemon::start(&(scene.policy()? + severity))?;
    shell(&format!("cat {}", scene.manifest.display()))?;
    expect(&daemon.alert()?, &json!({"action": "open", "severity": "critical"}))?;
    daemon.finish().map(drop)
}

fn wrong_user() -> Result<()> {
    let scene = Scene::new()?;
    let daemon = scene.start()?;
    let output = run_as_nobody(&scene.kubelet, ["open", &scene.manifest.to_string_lossy(), "r"])?;
    ensure!(output.status.success(), "{output:?}");
    refused(daemon, &scene.kubelet, "uid_mismatch")
}

fn replaced_by_an_upgrade() -> Result<()> {
    let scene = Scene::new()?;
    let mut daemon = scene.start()?;
    scene.read_with(&scene.kubelet)?;
    let new = copy_to(&scene.dir.path().join("kubelet.new"))?;
    fs::rename(&new, &scene.kubelet)?;
    // A second look is allowed once a second, so the new file may be refused for as long.
    let mut refused = 0;
    loop {
        let before = daemon.seen().len();
        scene.read_with(&scene.kubelet)?;
        let marker = copy_to(&scene.dir.path().join("marker"))?;
        scene.read_with(&marker)?;
        let alert = daemon.alert()?;
        if alert["process"]["exe"] == json!(marker) {
            break;
        }
        expect(&alert, &json!({"verdict": {"reason": "exe_not_node_file"}}))?;
        daemon.alert()?;
        refused += 1;
        ensure!(refused < 10_000, "the new file stays refused after {before} events");
    }
    daemon.finish().map(drop)
}

/// Some file systems give the number of a removed file to the very next one.
fn inode_number_used_again() -> Result<()> {
    let scene = Scene::new()?;
    let mut daemon = scene.start()?;
    for index in 0..20 {
        fs::remove_file(&scene.kubelet)?;
        let other = copy_to(&scene.dir.path().join(format!("other-{index}")))?;
        daemon.silent_until(|| scene.read_with(&other), &json!({"process": {"exe": other}}))?;
        copy_to(&scene.kubelet)?;
    }
    daemon.finish().map(drop)
}

fn allowed_executable_made_later() -> Result<()> {
    let scene = Scene::new()?;
    fs::remove_file(&scene.kubelet)?;
    let mut daemon = scene.start()?;
    copy_to(&scene.kubelet)?;
    let marker = copy_to(&scene.dir.path().join("marker"))?;
    loop {
        scene.read_with(&scene.kubelet)?;
        scene.read_with(&marker)?;
        if daemon.alert()?["process"]["exe"] == json!(marker) {
            break;
        }
        daemon.alert()?;
    }
    daemon.finish().map(drop)
}
