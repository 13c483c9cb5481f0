//! In what words events are written, and into which files.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::trials;
use crate::actor::{act, shell};
use crate::daemon::{command, manifests, program};
use crate::event::{at, expect};

pub fn all() -> Vec<Trial> {
    trials(
        "output",
        &[
            ("ecs", ecs),
            ("ocsf", ocsf),
            ("falco", falco),
            ("replayed", replayed),
            ("rotated", rotated),
            ("full_disk", full_disk),
        ],
    )
}

/// A daemon that writes into a file, and a directory that it watches.
pub(super) struct Scene {
    child: Child,
    pub(super) watched: PathBuf,
    policy: PathBuf,
    pub(super) output: PathBuf,
    stderr: PathBuf,
    /// Ends with the daemon.
    _dir: TempDir,
}

impl Scene {
    pub(super) fn start(args: &[&str]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let output = dir.path().join("output");
        fs::create_dir(&output)?;
        Self::start_in(dir, &output, args)
    }

    fn start_in(dir: TempDir, output: &Path, args: &[&str]) -> Result<Self> {
        let [watched, policy, stderr] =
            ["manifests", "policy.yaml", "stderr"].map(|name| dir.path().join(name));
        fs::create_dir(&watched)?;
        fs::write(&policy, manifests(&watched, ""))?;
        let output = output.join("events");
        let mut run = Command::new(program()?);
        run.args(["run", "--config"]).arg(&policy).arg("--output").arg(&output).args(args);
        run.stderr(File::create(&stderr)?);
        let child = run.spawn()?;
        let scene = Self { child, watched, policy, output, stderr, _dir: dir };
        scene.wait_for("the start", |text| text.ends_with('\n'))?;
        Ok(scene)
    }

    fn wait_for(&self, what: &str, there: impl Fn(&str) -> bool) -> Result<String> {
        wait_for(&self.output, what, there)
    }

    /// Opens a manifest, and gives what was written about it.
    fn alert(&self, path: &Path) -> Result<Value> {
        act(["open", &path.to_string_lossy(), "create"])?;
        let name = path.file_name().context("no name")?.to_string_lossy().into_owned();
        let text = self.wait_for("the alert", |text| text.ends_with('\n') && text.contains(&name))?;
        let line = text.lines().find(|line| line.contains(&name)).context("no line")?;
        Ok(serde_json::from_str(line)?)
    }

    pub(super) fn stop(&mut self) -> Result<ExitStatus> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        Ok(self.child.wait()?)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// Waits until a file has what it should.
fn wait_for(path: &Path, what: &str, there: impl Fn(&str) -> bool) -> Result<String> {
    let deadline = Instant::now() + Duration::from_secs(120);
    while Instant::now() < deadline {
        let text = fs::read_to_string(path).unwrap_or_default();
        if there(&text) {
            return Ok(text);
        }
        thread::sleep(Duration::from_millis(5));
    }
    let text = fs::read_to_string(path).unwrap_or_default();
    bail!("no {what} in {} lines, the last: {:?}", text.lines().count(), text.lines().last())
}

/// Every line is one event that no log cuts.
pub(super) fn parsed(text: &str) -> Result<Vec<Value>> {
    ensure!(text.lines().all(|line| line.len() < 8192), "a long line");
    text.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

fn in_format(args: &[&str], wanted: impl Fn(&Path) -> Value) -> Result<()> {
    in_format_at("", args, wanted)
}

/// What is wanted at a place of the event.
fn in_format_at(pointer: &str, args: &[&str], wanted: impl Fn(&Path) -> Value) -> Result<()> {
    let mut scene = Scene::start(args)?;
    let path = scene.watched.join("seen.yaml");
    expect(at(&scene.alert(&path)?, pointer), &wanted(&path))?;
    ensure!(scene.stop()?.success());
    let events = parsed(&fs::read_to_string(&scene.output)?)?;
    ensure!(events.len() >= 3, "{events:#?}");
    Ok(())
}

fn ecs() -> Result<()> {
    in_format(&["--format", "ecs"], |path| {
        json!({
            "event": {"kind": "alert", "category": ["file"], "type": ["creation"], "action": "opened-file"},
            "file": {"path": path, "extension": "yaml"},
            "host": {"os": {"type": "linux"}},
            "rule": {"id": "static_pod_manifest.write"},
            "bypassd": {"target": {"class": "static_pod_manifest"}, "verdict": {"result": "violation"}},
        })
    })
}

fn ocsf() -> Result<()> {
    in_format(
        &["--format", "ocsf"],
        |path| json!({"type_uid": 100_101, "is_alert": true, "file": {"path": path}, "metadata": {"version": "1.8.0"}}),
    )?;
    let finding = ["--format", "ocsf", "--ocsf-class", "finding"];
    in_format(
        &finding,
        |_| json!({"type_uid": 200_401, "finding_info": {"analytic": {"uid": "static_pod_manifest.write"}}}),
    )?;
    in_format_at("/evidences/0", &finding, |path| json!({"file": {"path": path}}))
}

fn falco() -> Result<()> {
    in_format(&["--format", "falco"], |path| {
        json!({
            "rule": "Static pod manifest written",
            "priority": "Error",
            "source": "bypassd",
            "output_fields": {"fd.name": path, "evt.type": "open", "container.id": "host"},
        })
    })
}

fn replayed() -> Result<()> {
    let mut scene = Scene::start(&["--format", "native"])?;
    let path = scene.watched.join("seen.yaml");
    let alert = scene.alert(&path)?;
    ensure!(scene.stop()?.success());
    let [output, policy] = [&scene.output, &scene.policy].map(|path| path.to_string_lossy());
    let replayed = command(&["replay", &output, "--config", &policy, "--format", "ecs"])?;
    let events = parsed(&String::from_utf8(replayed.stdout)?)?;
    let wanted = json!({"event": {"id": alert["id"], "kind": "alert"}, "file": {"path": path}});
    expect(events.first().context("nothing is left")?, &wanted)
}

/// Nothing is lost and nothing doubled, while the daemon rotates its file and somebody else takes it away.
fn rotated() -> Result<()> {
    const LIMIT: u64 = 1 << 20;
    let mut scene = Scene::start(&["--format", "native", "--output-max-size", "1M", "--output-keep", "90"])?;
    let dir = scene.output.parent().context("no directory")?.to_owned();
    for index in 0..1200 {
        fs::write(scene.watched.join(format!("{index}.yaml")), "kind: Pod\n")?;
        if index % 400 == 200 {
            let (taken, latest) = (dir.join(format!("taken.{index}")), fs::canonicalize(&scene.output)?);
            fs::rename(latest, taken)?;
            scene.wait_for("a new file", |text| !text.is_empty())?;
        }
    }
    ensure!(scene.stop()?.success());
    let (mut seqs, mut files) = (Vec::new(), 0);
    for entry in fs::read_dir(&dir)? {
        let path = entry?.path();
        let metadata = fs::symlink_metadata(&path)?;
        if metadata.is_symlink() {
            continue;
        }
        ensure!(metadata.permissions().mode() & 0o7777 == 0o600, "{path:?}: {metadata:?}");
        ensure!(metadata.len() <= LIMIT, "{path:?}: {metadata:?}");
        let events = parsed(&fs::read_to_string(&path)?)?;
        seqs.extend(events.iter().filter_map(|event| event["seq"].as_u64()));
        files += 1;
    }
    seqs.sort_unstable();
    let all: Vec<_> = (1..=seqs.len() as u64).collect();
    ensure!(seqs == all, "{} events are not 1 to {:?}", seqs.len(), seqs.last());
    ensure!(files >= 5, "{files} files of {} events", seqs.len());
    Ok(())
}

/// What a full disk does not take is counted, and what comes after it is written again.
fn full_disk() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let small = dir.path().join("small");
    fs::create_dir(&small)?;
    shell(&format!("mount -t tmpfs -o size=4m tmpfs {}", small.display()))?;
    let result = fill(dir, &small);
    shell(&format!("umount -l {}", small.display()))?;
    result
}

fn fill(dir: TempDir, small: &Path) -> Result<()> {
    // The directory is removed with the scene, the mount before that.
    let mut scene = Scene::start_in(dir, small, &["--format", "native"])?;
    let filler = small.join("filler");
    // It ends when the disk is full.
    ensure!(fs::write(&filler, vec![0; 8 << 20]).is_err(), "the disk is large");
    // The first event that does not fit is only cut, and completed later: what comes after it is lost.
    for index in 0.. {
        fs::write(scene.watched.join(format!("{index}.yaml")), "kind: Pod\n")?;
        let stderr = fs::read_to_string(&scene.stderr)?;
        if stderr.matches("No space left on device").count() > 2 {
            break;
        }
        ensure!(index < 10_000, "the disk does not get full: {stderr}");
        thread::sleep(Duration::from_millis(5));
    }
    fs::remove_file(&filler)?;
    let is_told = |event: &Value| at(event, "/health/lost/output_failed").is_u64();
    scene.wait_for("the loss", |text| {
        text.ends_with('\n') && parsed(text).is_ok_and(|events| events.iter().any(is_told))
    })?;
    ensure!(scene.stop()?.success());
    let events = parsed(&fs::read_to_string(&scene.output)?)?;
    let last = events.last().context("no event")?;
    expect(last, &json!({"lifecycle": {"state": "stopping"}}))?;
    let (seq, written) = (last["seq"].as_u64().unwrap_or_default(), events.len() as u64);
    let lost: u64 = events.iter().filter_map(|event| at(event, "/health/lost/output_failed").as_u64()).sum();
    ensure!(lost > 0 && seq == written + lost, "{seq} events, {written} written, {lost} lost");
    Ok(())
}
