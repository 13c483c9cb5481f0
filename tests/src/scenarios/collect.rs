//! `bypassd collect`: everything a responder needs, in one directory.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::containers::{IMPOSTOR, Scene, ctr};
use super::trials;
use crate::actor::{Holder, act, copy_to, run_as_nobody, shell_output};
use crate::daemon::{command, manifests, policy as policy_of, program};
use crate::event::at;
use crate::node::{Etcd, wait_until};

pub fn all() -> Vec<Trial> {
    trials(
        "collect",
        &[
            ("tells_the_story", tells_the_story),
            ("without_root", without_root),
            ("wrong_usage", wrong_usage),
            ("after_an_intrusion", after_an_intrusion),
            ("during_an_intrusion", during_an_intrusion),
        ],
    )
}

const EVENTS: &str = "events.ndjson";

const SUMS: &str = "sha256sum -c SHA256SUMS";

fn lines(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path)?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Every file is in the sums, as it is, and nobody else may read it.
fn is_whole(dir: &Path) -> Result<()> {
    let sums = fs::read_to_string(dir.join("SHA256SUMS"))?;
    let files: Vec<_> = fs::read_dir(dir)?.collect::<Result<_, _>>()?;
    ensure!(sums.lines().count() == files.len() - 1, "{sums}");
    for file in files {
        let mode = file.metadata()?.permissions().mode() & 0o777;
        ensure!(mode == 0o600, "{file:?} has mode {mode:o}");
    }
    let checked = shell_output(&format!("cd {}; {SUMS}", dir.display()))?;
    ensure!(checked.status.success(), "{checked:?}");
    Ok(())
}

/// One that watches until it is told to end.
struct Collecting {
    child: Child,
    dir: PathBuf,
}

impl Collecting {
    fn start(dir: PathBuf, policy: &Path) -> Result<Self> {
        let child = Command::new(program()?)
            .args(["collect", "--duration", "1h", "--output"])
            .arg(&dir)
            .arg("--config")
            .arg(policy)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let collecting = Self { child, dir };
        collecting.wait_for("snapshot_taken")?;
        Ok(collecting)
    }

    fn wait_for(&self, words: &str) -> Result<()> {
        let events = self.dir.join(EVENTS);
        wait_until(words, || fs::read_to_string(&events).is_ok_and(|text| text.contains(words)))
    }

    fn end(self) -> Result<Output> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let output = self.child.wait_with_output()?;
        ensure!(output.status.success(), "{output:?}");
        is_whole(&self.dir)?;
        Ok(output)
    }
}

fn says(output: &Output, words: &str) -> Result<()> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(stderr.contains(words), "no `{words}` in {stderr}");
    Ok(())
}

/// What was held before, what happened meanwhile, and how the node is set up; a signal ends it early and in order.
fn tells_the_story() -> Result<()> {
    let scene = tempfile::tempdir()?;
    let (watched, dir) = (scene.path().join("manifests"), scene.path().join("collected"));
    fs::create_dir(&watched)?;
    let (held, used) = (watched.join("held.yaml"), watched.join("used.yaml"));
    fs::write(&held, "kind: Pod\n")?;
    let policy = scene.path().join("policy.yaml");
    fs::write(&policy, manifests(&watched, ""))?;
    let holder = Holder::of(["open", &held.to_string_lossy(), "r"])?;
    let collecting = Collecting::start(dir.clone(), &policy)?;
    act(["open", &used.to_string_lossy(), "create"])?;
    collecting.wait_for("used.yaml")?;
    let output = collecting.end()?;
    says(&output, "watching for 3600 s")?;
    let found = lines(&dir.join(EVENTS))?;
    let of_holder = |event: &&Value| event["kind"] == "snapshot" && at(event, "/process/pid") == holder.pid();
    ensure!(found.iter().any(|event| of_holder(&event)), "nobody holds {}", held.display());
    ensure!(
        found.iter().any(|event| at(event, "/lifecycle/state") == "stopping"),
        "the run did not end in order"
    );
    let posture = lines(&dir.join("posture.ndjson"))?;
    ensure!(posture.iter().all(|event| event["kind"] == "posture") && posture.len() > 20, "{posture:#?}");
    let report = fs::read_to_string(dir.join("report.html"))?;
    for words in ["held.yaml", "used.yaml", "posture.ndjson", "events.ndjson"] {
        ensure!(report.contains(words), "no {words} in the report");
    }
    let collection: Value = serde_json::from_slice(&fs::read(dir.join("collection.json"))?)?;
    let steps = collection["steps"].as_array().context("no steps")?;
    let codes: Vec<_> = steps.iter().filter_map(|step| step["exit_code"].as_i64()).collect();
    ensure!(matches!(codes[..], [0 | 1, 0]), "{collection:#}");
    Ok(())
}

/// What one step cannot do, the others do.
fn without_root() -> Result<()> {
    let scene = tempfile::tempdir()?;
    fs::set_permissions(scene.path(), fs::Permissions::from_mode(0o777))?;
    let dir = scene.path().join("collected");
    let output = run_as_nobody(&program()?, ["collect", "--output", &dir.to_string_lossy()])?;
    ensure!(output.status.code() == Some(3), "{output:?}");
    says(&output, "run as root")?;
    is_whole(&dir)?;
    ensure!(lines(&dir.join(EVENTS))?.is_empty(), "there are events");
    ensure!(
        fs::read_to_string(dir.join("report.html"))?.contains("posture.ndjson"),
        "no posture in the report"
    );
    Ok(())
}

fn wrong_usage() -> Result<()> {
    let scene = tempfile::tempdir()?;
    let output = command(&["collect", "--output", &scene.path().to_string_lossy()])?;
    ensure!(output.status.code() == Some(2), "{output:?}");
    says(&output, "it exists; name a directory that is made now")?;
    ensure!(fs::read_dir(scene.path())?.next().is_none(), "something was written");
    // A policy that nobody could use leaves none behind.
    let (dir, policy) = (scene.path().join("collected"), scene.path().join("policy.yaml"));
    fs::write(&policy, "targets: {nothing: {}}\n")?;
    let [dir_named, policy_named] = [&dir, &policy].map(|path| path.to_string_lossy());
    let output = command(&["collect", "--output", &dir_named, "--config", &policy_named])?;
    ensure!(output.status.code() == Some(2) && !dir.exists(), "{output:?}");
    says(&output, "policy.yaml")
}

/// A container with the node's manifests, keys and runtime beneath it, and an etcd that asks nobody who he is.
struct Node {
    scene: Scene,
    etcd: Etcd,
    policy: PathBuf,
}

impl Node {
    fn new() -> Result<Self> {
        let scene = Scene::new()?;
        let etcd = Etcd::start()?;
        fs::create_dir(scene.watched().join("pki"))?;
        fs::write(scene.watched().join("pki/etcd.key"), "a key\n")?;
        copy_to(&scene.path("rootfs/bin/actor"))?;
        let policy = scene.path("policy.yaml");
        let targets = format!(
            "static_pod_manifest: {{paths: [{0}]}}, credential: {{paths: [{0}/pki]}}, \
             runtime_api: {{sockets: [{1}]}}, datastore_api: {{ports: [{2}]}}",
            scene.watched().display(),
            scene.socket().display(),
            etcd.port,
        );
        fs::write(&policy, policy_of(&targets, &ctr()?))?;
        Ok(Self { scene, etcd, policy })
    }

    /// Drops a manifest that the API never shows, takes the key, uses the datastore, and stays connected to the runtime.
    fn intrude(&self, act: impl FnOnce() -> Result<()>) -> Result<()> {
        let runtime = self.scene.socket();
        let runtime = runtime.parent().context("no directory")?.display();
        let more =
            ["--net-host", "--mount", &format!("type=bind,src={runtime},dst=/runtime,options=rbind:rw")];
        let line = format!(
            "echo 'kind: Pod
metadata: {{name: hidden, namespace: No_Such}}
spec: {{hostPID: true, containers: [{{name: c, image: evil}}]}}' >/watched/hidden.yaml
exec 4</watched/pki/etcd.key; busybox cat <&4 >/tmp/key
actor tcp 127.0.0.1 {}
busybox mkfifo /tmp/wait /tmp/ready; actor hold unix /runtime/containerd.sock <>/tmp/wait >/tmp/ready &
busybox head -n 1 </tmp/ready",
            self.etcd.port
        );
        self.scene.meanwhile_with(&IMPOSTOR, &more.map(str::to_owned), &line, act)
    }
}

/// The first event of this kind about a target, by the intruder.
fn intruder<'a>(events: &'a [Value], kind: &str, class: &str) -> Result<&'a Value> {
    let found = events.iter().find(|event| {
        event["kind"] == kind
            && at(event, "/target/class") == class
            && at(event, "/process/pod/namespace") == "default"
            && event["follows"].is_null()
    });
    found.with_context(|| format!("no {kind} of {class} by the intruder"))
}

/// Who comes afterwards finds what is still held, and what it left.
fn after_an_intrusion() -> Result<()> {
    let node = Node::new()?;
    let dir = node.scene.path("collected");
    node.intrude(|| Collecting::start(dir.clone(), &node.policy)?.end().map(drop))?;
    let events = lines(&dir.join(EVENTS))?;
    for class in ["credential", "runtime_api"] {
        intruder(&events, "snapshot", class)?;
    }
    let posture = lines(&dir.join("posture.ndjson"))?;
    let invisible = posture.iter().find(|event| at(event, "/rule/id") == "static_pods.invisible");
    let invisible = invisible.context("no such check")?;
    ensure!(at(invisible, "/posture/result") == "fail", "{invisible:#}");
    ensure!(invisible.to_string().contains("hidden.yaml"), "{invisible:#}");
    let report = fs::read_to_string(dir.join("report.html"))?;
    for words in ["hidden.yaml", "etcd.key", "containerd.sock", "No_Such"] {
        ensure!(report.contains(words), "no {words} in the report");
    }
    Ok(())
}

/// Who was there before has the whole story, in its order.
fn during_an_intrusion() -> Result<()> {
    let node = Node::new()?;
    let dir = node.scene.path("collected");
    let collecting = Collecting::start(dir.clone(), &node.policy)?;
    node.intrude(|| Ok(()))?;
    // The last that is told: what a manifest holds is read a moment later.
    collecting.wait_for("\"follows\"")?;
    collecting.end()?;
    let events = lines(&dir.join(EVENTS))?;
    let story = ["static_pod_manifest", "credential", "datastore_api", "runtime_api"];
    // Lines may be out of order: what fanotify tells comes later than what hooks tell.
    let times: Vec<_> = story
        .iter()
        .map(|class| at(intruder(&events, "alert", class)?, "/time").as_str().context("no time"))
        .collect::<Result<_>>()?;
    ensure!(times.is_sorted(), "{times:?}");
    let manifest = events.iter().find(|event| !event["follows"].is_null()).context("no manifest")?;
    ensure!(manifest["manifest"].to_string().contains("No_Such"), "{manifest:#}");
    let report = fs::read_to_string(dir.join("report.html"))?;
    for words in ["hidden.yaml", "etcd.key", "No_Such", "default/etcd-node1"] {
        ensure!(report.contains(words), "no {words} in the report");
    }
    Ok(())
}
