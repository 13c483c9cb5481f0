//! Another policy while the daemon runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::trials;
use crate::actor::{Holder, copy_to, must, program};
use crate::daemon::{Daemon, paths, policy};
use crate::event::{at, expect};

pub fn all() -> Vec<Trial> {
    trials(
        "reload",
        &[
            ("another_policy", another_policy),
            ("target_left_out", target_left_out),
            ("target_held_already", target_held_already),
            ("bad_policy", bad_policy),
            ("watched_file", watched_file),
            ("without_a_file", without_a_file),
            ("while_used", while_used),
        ],
    )
}

/// Two directories, of which the first policy has one.
struct Scene {
    _dir: TempDir,
    first: PathBuf,
    second: PathBuf,
    policy: PathBuf,
    daemon: Daemon,
}

const ALLOWED: &str = "{id: all, targets: [static_pod_manifest], process: {uid: 0}, i_know: true}";

impl Scene {
    fn new(more: &[&str]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let [first, second] = ["first", "second"].map(|name| dir.path().join(name));
        for place in [&first, &second] {
            fs::create_dir(place)?;
            fs::write(place.join("etcd.yaml"), "kind: Pod\n")?;
        }
        let path = dir.path().join("policy.yaml");
        fs::write(&path, policy(&paths("static_pod_manifest", &[&first]), ""))?;
        let config = path.to_string_lossy();
        let daemon = Daemon::start_with(None, &[&["--config", &*config], more].concat())?;
        Ok(Self { _dir: dir, first, second, policy: path, daemon })
    }

    /// As most who write files do: another file that takes the name.
    fn write(&self, text: &str) -> Result<()> {
        let new = self.policy.with_extension("new");
        fs::write(&new, text)?;
        Ok(fs::rename(new, &self.policy)?)
    }

    fn hang_up(&self) -> Result<()> {
        let pid = Pid::from_raw(self.daemon.pid().cast_signed()).context("no process")?;
        Ok(kill_process(pid, Signal::HUP)?)
    }

    fn waits_for(&mut self, state: &str) -> Result<Value> {
        self.daemon.wait_for(state, |event| at(event, "/lifecycle/state") == state)
    }

    fn read(dir: &Path) -> Result<()> {
        must(&program()?, ["open", &dir.join("etcd.yaml").to_string_lossy(), "r"])
    }
}

/// Rules and targets change together, and the events say by which policy they were judged.
fn another_policy() -> Result<()> {
    let mut scene = Scene::new(&[])?;
    Scene::read(&scene.first)?;
    let before = scene.daemon.alert()?;
    let both = paths("static_pod_manifest", &[&scene.second]) + ", " + &paths("credential", &[&scene.first]);
    scene.write(&policy(&both, ALLOWED))?;
    scene.hang_up()?;
    let reloaded = scene.waits_for("reloaded")?;
    expect(&reloaded, &json!({"kind": "lifecycle", "lifecycle": {"rules": 1, "targets": 2}}))?;
    scene.waits_for("target_armed")?;
    Scene::read(&scene.second)?;
    Scene::read(&scene.first)?;
    let after = scene.daemon.alert()?;
    expect(&after, &json!({"target": {"class": "credential", "path": scene.first.join("etcd.yaml")}}))?;
    let sha256 = |event: &Value| at(event, "/agent/config_sha256").clone();
    ensure!(sha256(&before) != sha256(&after), "{after:#}");
    ensure!(&sha256(&after) == at(&reloaded, "/lifecycle/config_sha256"), "{reloaded:#}");
    scene.daemon.finish().map(drop)
}

/// What a policy no longer names is nobody's business, though it is still there. What happened before is told.
fn target_left_out() -> Result<()> {
    let mut scene = Scene::new(&[])?;
    let made = scene.first.join("made.yaml");
    must(&program()?, ["file", "mknod", &made.to_string_lossy()])?;
    scene.write(&policy(&paths("static_pod_manifest", &[&scene.second]), ""))?;
    scene.hang_up()?;
    expect(&scene.daemon.alert()?, &json!({"action": "create", "target": {"path": made}}))?;
    scene.waits_for("reloaded")?;
    scene.waits_for("target_armed")?;
    Scene::read(&scene.first)?;
    must(&program()?, ["open", &scene.first.join("new.yaml").to_string_lossy(), "create"])?;
    fs::rename(&scene.first, scene.first.with_extension("moved"))?;
    Scene::read(&scene.second)?;
    expect(&scene.daemon.alert()?, &json!({"target": {"path": scene.second.join("etcd.yaml")}}))?;
    scene.daemon.finish().map(drop)
}

/// Who holds what a policy adds is told as at a start; what was watched before is not told again.
fn target_held_already() -> Result<()> {
    let mut scene = Scene::new(&[])?;
    let file = |dir: &Path| dir.join("etcd.yaml").to_string_lossy().into_owned();
    let old = Holder::of(["open", &file(&scene.first), "r"])?;
    let new = Holder::of(["open", &file(&scene.second), "rw"])?;
    expect(&scene.daemon.alert()?, &json!({"process": {"pid": old.pid()}}))?;
    scene.write(&policy(&paths("static_pod_manifest", &[&scene.first, &scene.second]), ""))?;
    scene.hang_up()?;
    scene.waits_for("reloaded")?;
    let event = scene.daemon.wait_for("the snapshot", |event| event["kind"] == "snapshot")?;
    let target = json!({"path": file(&scene.second), "access": ["read", "write"]});
    expect(&event, &json!({"process": {"pid": new.pid()}, "target": target}))?;
    let events = scene.daemon.finish()?;
    let held = events.iter().filter(|event| event["kind"] == "snapshot").count();
    ensure!(held == 1, "not once: {events:#?}");
    Ok(())
}

fn bad_policy() -> Result<()> {
    let mut scene = Scene::new(&[])?;
    scene.write("version: 1\nprofile: none\ntarget: {}\n")?;
    scene.hang_up()?;
    let failed = scene.waits_for("reload_failed")?;
    expect(&failed, &json!({"severity": "medium"}))?;
    let error = at(&failed, "/lifecycle/error").as_str().unwrap_or_default();
    ensure!(error.contains("policy.yaml:3:1") && error.contains("targets"), "{failed:#}");
    Scene::read(&scene.first)?;
    expect(&scene.daemon.alert()?, &json!({"target": {"class": "static_pod_manifest"}}))?;
    scene.daemon.finish().map(drop)
}

fn watched_file() -> Result<()> {
    let mut scene = Scene::new(&["--watch-config"])?;
    Scene::read(&scene.first)?;
    scene.daemon.alert()?;
    scene.write(&policy(&paths("static_pod_manifest", &[&scene.first]), ALLOWED))?;
    scene.waits_for("reloaded")?;
    Scene::read(&scene.first)?;
    scene.daemon.finish().map(drop)
}

/// The built-in profile once more.
fn without_a_file() -> Result<()> {
    let mut daemon = Daemon::start_with(None, &[])?;
    let pid = Pid::from_raw(daemon.pid().cast_signed()).context("no process")?;
    kill_process(pid, Signal::HUP)?;
    daemon.wait_for("the end of it", |event| at(event, "/lifecycle/state") == "reloaded")?;
    daemon.stop(Signal::TERM).map(drop)
}

const RELOADS: usize = 20;

/// One policy after the other, each of which allows one program the same file by another class, while that program and an intruder open
/// it without a pause. Whoever is judged by the targets of one and the rules of the other is told wrongly; whoever comes in between is
/// told, too.
fn while_used() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let at_dir = |name: &str| dir.path().join(name);
    let watched = at_dir("watched");
    fs::create_dir(&watched)?;
    let manifest = watched.join("etcd.yaml");
    fs::write(&manifest, "kind: Pod\n")?;
    let [kubelet, other, intruder] = ["kubelet", "other", "intruder"].map(|name| copy_to(&at_dir(name)));
    let (kubelet, other, intruder) = (kubelet?, other?, intruder?);
    let rule = |id: &str, class: &str, exe: &Path| {
        format!("{{id: {id}, targets: {class}, process: {{exe: {}}}}}", exe.display())
    };
    let policies =
        [("static_pod_manifest", "credential"), ("credential", "static_pod_manifest")].map(|(class, not)| {
            let rules = [rule("kubelet", class, &kubelet), rule("other", not, &other)].join(", ");
            policy(&paths(class, &[&watched]), &rules)
        });
    let file = at_dir("policy.yaml");
    fs::write(&file, &policies[0])?;
    let mut daemon =
        Daemon::start_with(None, &["--config", &file.to_string_lossy(), "--alerts-per-minute", "1000000"])?;
    let pid = Pid::from_raw(daemon.pid().cast_signed()).context("no process")?;
    let (done, used) = (AtomicBool::new(false), AtomicU64::new(0));
    let uses = |program: &Path| {
        let mut uses = 0_u64;
        while !done.load(Ordering::Relaxed) {
            must(program, ["open", &manifest.to_string_lossy(), "r"])?;
            uses += 1;
            used.fetch_add(1, Ordering::Relaxed);
        }
        anyhow::Ok(uses)
    };
    let (allowed, intrusions) = std::thread::scope(|scope| {
        let (allowed, refused) = (scope.spawn(|| uses(&kubelet)), scope.spawn(|| uses(&intruder)));
        // A slow machine reloads faster than it starts programs.
        let mut rounds = (1..20 * RELOADS)
            .take_while(|round| *round <= RELOADS || used.load(Ordering::Relaxed) < 3 * RELOADS as u64);
        let reloads = rounds.try_for_each(|round: usize| {
            let from = daemon.seen().len();
            let new = at_dir("new");
            fs::write(&new, &policies[round % 2])?;
            fs::rename(new, &file)?;
            kill_process(pid, Signal::HUP)?;
            daemon
                .wait_for_from(from, "the reload", |event| at(event, "/lifecycle/state") == "reloaded")
                .map(drop)
        });
        done.store(true, Ordering::Relaxed);
        let [allowed, refused] = [allowed, refused].map(|thread| thread.join().ok().context("a thread"));
        reloads?;
        anyhow::Ok((allowed??, refused??))
    })?;
    let (_, events) = daemon.stop(Signal::TERM)?;
    let alerts: Vec<_> = events.iter().filter(|event| event["kind"] == "alert").collect();
    let wrong = alerts.iter().find(|alert| at(alert, "/process/exe") != &json!(intruder));
    ensure!(wrong.is_none(), "one of {allowed}: {wrong:#?}");
    ensure!(alerts.len() as u64 == intrusions, "{} of {intrusions}", alerts.len());
    ensure!(allowed.min(intrusions) > RELOADS as u64 / 2, "only {allowed} and {intrusions}");
    Ok(())
}
