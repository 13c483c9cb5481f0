//! What a process runs: the content of its executable, and those that only look like an allowed one.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::trials;
use crate::actor::{Holder, act, copy_to, must, program, run, shell};
use crate::daemon::{Daemon, manifests};
use crate::event::{at, expect};
use crate::node::wait_until;

pub fn all() -> Vec<Trial> {
    trials(
        "identity",
        &[
            ("content_is_told", content_is_told),
            ("content_of_a_process_that_lives_on", content_of_a_process_that_lives_on),
            ("content_in_the_snapshot", content_in_the_snapshot),
            ("large_executable", large_executable),
            ("pinned", pinned),
            ("pinned_and_changed", pinned_and_changed),
            ("hard_link", hard_link),
            ("mounted_over_on_the_node", mounted_over_on_the_node),
            ("memfd", memfd),
            ("another_exe_file", another_exe_file),
            ("deleted_and_replaced", deleted_and_replaced),
            ("upgraded", upgraded),
            ("upgraded_twice_and_gone", upgraded_twice_and_gone),
            ("written_in_place", written_in_place),
            ("upgraded_beside_a_pin", upgraded_beside_a_pin),
            ("interpreter", interpreter),
        ],
    )
}

/// A watched manifest, and an executable that rules name.
struct Scene {
    dir: TempDir,
    manifest: PathBuf,
    kubelet: PathBuf,
}

impl Scene {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        fs::create_dir(dir.path().join("manifests"))?;
        let manifest = dir.path().join("manifests/etcd.yaml");
        fs::write(&manifest, "kind: Pod\n")?;
        let kubelet = copy_to(&dir.path().join("kubelet"))?;
        settle(&kubelet)?;
        Ok(Self { dir, manifest, kubelet })
    }

    /// With a rule about such processes.
    fn start(&self, process: &str) -> Result<Daemon> {
        let rule = format!("{{id: a, targets: [static_pod_manifest], process: {{{process}}}}}");
        Daemon::start(&manifests(self.manifest.parent().unwrap_or(Path::new("/")), &rule))
    }

    fn exe(&self) -> String {
        format!("exe: {}", self.kubelet.display())
    }

    fn read_with(&self, program: &Path) -> Result<()> {
        must(program, ["open", &self.manifest.to_string_lossy(), "r"])
    }

    /// A program that waits to do it.
    fn waiting(&self, program: &Path) -> Result<Waiting> {
        let mut command = Command::new(program);
        let command = command.args(["wait", "open"]).arg(&self.manifest).arg("r");
        Ok(Waiting(command.stdin(Stdio::piped()).spawn().context("cannot start the actor")?))
    }
}

/// A process that acts when it is told to, and lives on.
struct Waiting(Child);

impl Waiting {
    /// What it runs, whether it has a name or not.
    fn exe(&self) -> PathBuf {
        format!("/proc/{}/exe", self.0.id()).into()
    }

    fn act(&mut self) -> Result<()> {
        self.0.stdin.as_mut().context("no stdin")?.write_all(b"\n").context("the actor ended")
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// Until a file's content counts: what was changed a moment before an access may be changed again in the same tick of the clock.
fn settle(path: &Path) -> Result<()> {
    let is_old = || {
        let Ok(file) = fs::metadata(path) else { return false };
        // Its last name can be taken away, too.
        let changed =
            Duration::new(file.ctime().unsigned_abs(), u32::try_from(file.ctime_nsec()).unwrap_or(0));
        UNIX_EPOCH.elapsed().is_ok_and(|now| now > changed + AGED)
    };
    wait_until("the file to age", is_old)
}

/// More than what the daemon asks for.
const AGED: Duration = Duration::from_millis(50);

fn sha256(path: &Path) -> Result<String> {
    let output = run("sha256sum".as_ref(), [path])?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split_whitespace().next().context("no digest")?.to_owned())
}

fn no_errors(alert: &Value) -> Result<()> {
    let errors = at(alert, "/enrichment_errors");
    ensure!(errors.is_null(), "{errors}");
    Ok(())
}

/// The next alert, and nothing else, is for this reason.
fn refused(mut daemon: Daemon, exe: &Path, reason: &str) -> Result<()> {
    expect(&daemon.alert()?, &json!({"verdict": {"reason": reason}, "process": {"exe": exe}}))?;
    daemon.finish().map(drop)
}

/// Also of a process that is gone at once, in this mount namespace or another.
fn content_is_told() -> Result<()> {
    let scene = Scene::new()?;
    let mut daemon = scene.start("exe: /nowhere")?;
    let (kubelet, manifest) = (scene.kubelet.display(), scene.manifest.display());
    for line in [
        format!("{kubelet} open {manifest} r"),
        format!("unshare -m sh -c '{kubelet} open {manifest} r; true'"),
    ] {
        shell(&line)?;
        let alert = daemon.alert()?;
        expect(&alert, &json!({"process": {"exe": scene.kubelet, "exe_sha256": sha256(&scene.kubelet)?}}))?;
        no_errors(&alert)?;
    }
    daemon.finish().map(drop)
}

/// Its path is another file's by now.
fn content_of_a_process_that_lives_on() -> Result<()> {
    let scene = Scene::new()?;
    let mut daemon = scene.start("exe: /nowhere")?;
    let hash = sha256(&scene.kubelet)?;
    let mut waiting = scene.waiting(&scene.kubelet)?;
    fs::remove_file(&scene.kubelet)?;
    fs::copy("/bin/sh", &scene.kubelet)?;
    settle(&waiting.exe())?;
    waiting.act()?;
    let alert = daemon.alert()?;
    let process = json!({"exe": scene.kubelet, "exe_deleted": true, "exe_sha256": hash});
    expect(&alert, &json!({"process": process}))?;
    no_errors(&alert)?;
    daemon.finish().map(drop)
}

fn content_in_the_snapshot() -> Result<()> {
    let scene = Scene::new()?;
    let _holder = Holder::start(&scene.kubelet, ["open", &scene.manifest.to_string_lossy(), "r"])?;
    let mut daemon = scene.start("exe: /nowhere")?;
    let event = daemon.wait_for("the snapshot", |event| event["kind"] == "snapshot")?;
    expect(&event, &json!({"process": {"exe": scene.kubelet, "exe_sha256": sha256(&scene.kubelet)?}}))?;
    daemon.finish().map(drop)
}

fn large_executable() -> Result<()> {
    let scene = Scene::new()?;
    let mut daemon = scene.start("exe: /nowhere")?;
    fs::File::options().append(true).open(&scene.kubelet)?.set_len(257 << 20)?;
    scene.read_with(&scene.kubelet)?;
    let alert = daemon.alert()?;
    let errors = json!(["exe_sha256: it is larger than 256 MiB"]);
    expect(
        &alert,
        &json!({"process": {"exe": scene.kubelet, "exe_sha256": null}, "enrichment_errors": errors}),
    )?;
    daemon.finish().map(drop)
}

fn pinned() -> Result<()> {
    let scene = Scene::new()?;
    let hash = sha256(&scene.kubelet)?;
    let other = scene.dir.path().join("cat");
    fs::copy("/bin/cat", &other)?;
    let mut daemon = scene.start(&format!("{}, sha256: ['{hash}']", scene.exe()))?;
    for _ in 0..3 {
        scene.read_with(&scene.kubelet)?;
    }
    let marker = || shell(&format!("{} {}", other.display(), scene.manifest.display()));
    daemon.silent_until(marker, &json!({"process": {"exe": other}}))?;
    daemon.finish().map(drop)
}

/// The same file, and no other at its path, but not with that content.
fn pinned_and_changed() -> Result<()> {
    let scene = Scene::new()?;
    let hash = sha256(&scene.kubelet)?;
    let mut daemon = scene.start(&format!("{}, sha256: ['{hash}']", scene.exe()))?;
    let mut file = fs::File::options().append(true).open(&scene.kubelet)?;
    file.write_all(b"more")?;
    drop(file);
    settle(&scene.kubelet)?;
    scene.read_with(&scene.kubelet)?;
    let alert = daemon.alert()?;
    let process = json!({"exe": scene.kubelet, "exe_sha256": sha256(&scene.kubelet)?});
    expect(&alert, &json!({"verdict": {"reason": "sha256_mismatch"}, "process": process}))?;
    daemon.finish().map(drop)
}

/// The same object, but not what the rule names.
fn hard_link() -> Result<()> {
    let scene = Scene::new()?;
    let link = scene.dir.path().join("link");
    fs::hard_link(&scene.kubelet, &link)?;
    let daemon = scene.start(&scene.exe())?;
    scene.read_with(&link)?;
    refused(daemon, &link, "exe_mismatch")
}

/// In the node's own mount namespace, where everyone sees the other file.
fn mounted_over_on_the_node() -> Result<()> {
    let scene = Scene::new()?;
    let other = copy_to(&scene.dir.path().join("other"))?;
    let daemon = scene.start(&scene.exe())?;
    must("mount".as_ref(), ["--bind".as_ref(), &*other, &*scene.kubelet])?;
    let read = scene.read_with(&scene.kubelet);
    must("umount".as_ref(), ["-l".as_ref(), scene.kubelet.as_os_str()])?;
    read?;
    refused(daemon, &scene.kubelet, "exe_not_node_file")
}

fn memfd() -> Result<()> {
    let scene = Scene::new()?;
    let mut daemon = scene.start(&scene.exe())?;
    let name = "kubelet";
    must(&scene.kubelet, ["memfd", name, "open", &scene.manifest.to_string_lossy(), "r"])?;
    let process = json!({"exe": "/memfd:kubelet", "exe_memfd": true, "exe_deleted": true});
    expect(&daemon.alert()?, &json!({"verdict": {"reason": "exe_mismatch"}, "process": process}))?;
    daemon.finish().map(drop)
}

/// A process can have the kernel say that it runs another file. What it does afterwards looks allowed, so that is told itself, by the name
/// of the file that it does run.
fn another_exe_file() -> Result<()> {
    let scene = Scene::new()?;
    let mut daemon = scene.start(&scene.exe())?;
    let (kubelet, manifest) = (scene.kubelet.to_string_lossy(), scene.manifest.to_string_lossy());
    let own = program()?;
    must(
        Path::new("unshare"),
        ["-Ur", &own.to_string_lossy(), "as-mapped-file", &kubelet, "open", &manifest, "r"],
    )?;
    if at(daemon.started(), "/lifecycle/backend") != "syscall" {
        expect(
            &daemon.alert()?,
            &json!({
                "action": "masquerade",
                "severity": "high",
                "verdict": {"reason": "exe_mismatch"},
                "target": {"class": "static_pod_manifest", "type": "process", "exe": scene.kubelet},
                "process": {"exe": own},
            }),
        )?;
    }
    daemon.silent_until(|| act(["open", &manifest, "r"]), &json!({"process": {"exe": own}}))?;
    // Nor does it help to call the file something else at that moment.
    let line = format!(
        "touch {1}; mount --bind {0} {1}; exec {2} as-mapped-file {1}",
        kubelet,
        scene.dir.path().join("other").display(),
        own.display()
    );
    must(Path::new("unshare"), ["-Urm", "sh", "-ec", &line])?;
    if at(daemon.started(), "/lifecycle/backend") != "syscall" {
        let ours = json!({"action": "masquerade", "process": {"exe": own}});
        expect(&daemon.alert()?, &ours)?;
    }
    // Who runs the file is no impostor.
    must(Path::new("unshare"), ["-Ur", &kubelet, "as-mapped-file", &kubelet, "open", &manifest, "r"])?;
    daemon.silent_until(|| act(["open", &manifest, "w"]), &json!({"process": {"exe": own}}))?;
    daemon.finish().map(drop)
}

/// It was at the path before the daemon knew what belongs there.
fn deleted_and_replaced() -> Result<()> {
    let scene = Scene::new()?;
    let mut waiting = scene.waiting(&scene.kubelet)?;
    fs::rename(copy_to(&scene.dir.path().join("new"))?, &scene.kubelet)?;
    let mut daemon = scene.start(&scene.exe())?;
    waiting.act()?;
    let process = json!({"exe": scene.kubelet, "exe_deleted": true});
    let alert = json!({"verdict": {"reason": "exe_not_node_file"}, "process": process});
    expect(&daemon.alert()?, &alert)?;
    // The one that is there now is allowed.
    let marker = copy_to(&scene.dir.path().join("marker"))?;
    scene.read_with(&scene.kubelet)?;
    daemon.silent_until(|| scene.read_with(&marker), &json!({"process": {"exe": marker}}))?;
    daemon.finish().map(drop)
}

/// As package managers replace files.
fn upgrade(scene: &Scene, more: &[u8]) -> Result<String> {
    let new = copy_to(&scene.dir.path().join("kubelet.new"))?;
    fs::File::options().append(true).open(&new)?.write_all(more)?;
    let hash = sha256(&new)?;
    fs::rename(&new, &scene.kubelet)?;
    Ok(hash)
}

fn replaced(daemon: &mut Daemon, scene: &Scene, old: &str, new: &str) -> Result<()> {
    let wanted = json!({
        "state": "executable_replaced", "path": scene.kubelet, "old_sha256": old, "new_sha256": new,
    });
    let is_so = |event: &Value| event["lifecycle"]["new_sha256"] == wanted["new_sha256"];
    let event = daemon.wait_for("the replacement", is_so)?;
    expect(&event, &json!({"severity": "medium", "lifecycle": wanted}))
}

/// What each of them held has to be known before it is replaced, which nothing tells.
fn start_and_read(scene: &Scene) -> Result<Daemon> {
    let mut daemon = scene.start(&scene.exe())?;
    // Its answer comes after that about the executable.
    let marker = copy_to(&scene.dir.path().join("marker"))?;
    scene.read_with(&marker)?;
    daemon.alert()?;
    Ok(daemon)
}

fn upgraded() -> Result<()> {
    let scene = Scene::new()?;
    let old = sha256(&scene.kubelet)?;
    let mut daemon = start_and_read(&scene)?;
    let mut running = scene.waiting(&scene.kubelet)?;
    let new = upgrade(&scene, b"1")?;
    // Both at once, whatever the daemon knows by now.
    scene.read_with(&scene.kubelet)?;
    running.act()?;
    replaced(&mut daemon, &scene, &old, &new)?;
    let mut later = scene.waiting(&scene.kubelet)?;
    later.act()?;
    let marker = scene.dir.path().join("marker");
    daemon.silent_until(|| scene.read_with(&marker), &json!({"process": {"exe": marker}}))?;
    let events = daemon.finish()?;
    let told = events.iter().filter(|event| event["lifecycle"]["state"] == "executable_replaced");
    ensure!(told.count() == 1, "it was told more than once: {events:#?}");
    Ok(())
}

/// Two that run what was there before stay known; a file that nobody runs any more is not.
fn upgraded_twice_and_gone() -> Result<()> {
    let scene = Scene::new()?;
    let first = sha256(&scene.kubelet)?;
    let mut daemon = start_and_read(&scene)?;
    let mut oldest = scene.waiting(&scene.kubelet)?;
    let second = upgrade(&scene, b"1")?;
    replaced(&mut daemon, &scene, &first, &second)?;
    let mut older = scene.waiting(&scene.kubelet)?;
    let third = upgrade(&scene, b"22")?;
    replaced(&mut daemon, &scene, &second, &third)?;
    oldest.act()?;
    older.act()?;
    let marker = scene.dir.path().join("marker");
    daemon.silent_until(|| scene.read_with(&marker), &json!({"process": {"exe": marker}}))?;
    drop((oldest, older));
    // Someone else's file at that path, in a mount namespace of his own, which is gone when it acts.
    let own = scene.dir.path().join("own");
    fs::create_dir(&own)?;
    copy_to(&own.join("kubelet"))?;
    let (dir, kubelet, manifest) =
        (scene.dir.path().display(), scene.kubelet.display(), scene.manifest.display());
    let act = format!("rm {dir}/own/kubelet; echo; exec sleep 1");
    let hidden =
        format!("mount --bind {dir}/own/kubelet {kubelet}; ({act}) | {kubelet} wait open {manifest} r");
    // The file itself is what is mounted, so it has no name while it is run.
    shell(&format!("unshare -m sh -ec '{hidden}'"))?;
    let process = json!({"exe": scene.kubelet});
    let alert = json!({"verdict": {"reason": "exe_not_node_file"}, "process": process});
    expect(&daemon.alert()?, &alert)?;
    daemon.finish().map(drop)
}

/// The same object with another content.
fn written_in_place() -> Result<()> {
    let scene = Scene::new()?;
    let old = sha256(&scene.kubelet)?;
    let mut daemon = start_and_read(&scene)?;
    fs::File::options().append(true).open(&scene.kubelet)?.write_all(b"more")?;
    replaced(&mut daemon, &scene, &old, &sha256(&scene.kubelet)?)?;
    daemon.finish().map(drop)
}

/// A rule that says what the file has to hold is not about the new one.
fn upgraded_beside_a_pin() -> Result<()> {
    let scene = Scene::new()?;
    let old = sha256(&scene.kubelet)?;
    let mut daemon = scene.start(&format!("{}, sha256: '{old}'", scene.exe()))?;
    let mut running = scene.waiting(&scene.kubelet)?;
    let new = upgrade(&scene, b"1")?;
    settle(&running.exe())?;
    settle(&scene.kubelet)?;
    // The old one is what it was.
    running.act()?;
    scene.read_with(&scene.kubelet)?;
    let alert = daemon.alert()?;
    expect(&alert, &json!({"verdict": {"reason": "sha256_mismatch"}, "process": {"exe_sha256": new}}))?;
    daemon.finish().map(drop)
}

/// A rule about a shell is about whatever a shell is given; the daemon says so.
fn interpreter() -> Result<()> {
    let scene = Scene::new()?;
    let sh = scene.dir.path().join("sh");
    fs::copy("/bin/sh", &sh)?;
    let script = scene.dir.path().join("backup.sh");
    fs::write(&script, format!("#!{}\nread line <{}\n", sh.display(), scene.manifest.display()))?;
    let (other, text) = (scene.dir.path().join("other.sh"), fs::read(&script)?);
    fs::write(&other, text)?;
    shell(&format!("chmod 755 {} {}", script.display(), other.display()))?;
    let warned = |daemon: &Daemon| at(daemon.started(), "/lifecycle/policy_warnings/0").to_string();
    let warns = format!("{{id: a, targets: static_pod_manifest, process: {{exe: {}}}}}", sh.display());
    let watched = scene.manifest.parent().unwrap_or(Path::new("/"));
    let mut daemon = Daemon::fresh(&manifests(watched, &warns))?;
    ensure!(warned(&daemon).contains("every script"), "{}", daemon.started());
    must(&script, [""; 0])?;
    must(&other, [""; 0])?;
    daemon.silent_until(|| scene.read_with(&scene.kubelet), &json!({"process": {"exe": scene.kubelet}}))?;
    daemon.finish()?;
    let limited = format!(
        "{{id: a, targets: static_pod_manifest, process: {{exe: {}, args: {}}}}}",
        sh.display(),
        script.display()
    );
    let mut daemon = Daemon::fresh(&manifests(watched, &limited))?;
    ensure!(warned(&daemon) == "null", "{}", daemon.started());
    must(&script, [""; 0])?;
    must(&other, [""; 0])?;
    let args = json!([sh, other]);
    expect(&daemon.alert()?, &json!({"verdict": {"reason": "args_mismatch"}, "process": {"args": args}}))?;
    daemon.finish().map(drop)
}
