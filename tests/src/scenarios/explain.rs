//! Recorded events: why they are alerts, and what another policy makes of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::trials;
use crate::actor::{copy_to, must};
use crate::daemon::{Daemon, command, manifests};
use crate::event::{at, expect};

pub fn all() -> Vec<Trial> {
    trials(
        "explain",
        &[
            ("suggested_rule_makes_it_silent", suggested_rule_makes_it_silent),
            ("deleted_is_not_suggested", deleted_is_not_suggested),
            ("lines_that_are_no_events", lines_that_are_no_events),
        ],
    )
}

/// A watched manifest, and a program that reads it unexpectedly.
struct Scene {
    dir: TempDir,
    reader: PathBuf,
    daemon: Daemon,
}

impl Scene {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let reader = copy_to(&dir.path().join("reader"))?;
        fs::create_dir(dir.path().join("manifests"))?;
        fs::write(dir.path().join("manifests/etcd.yaml"), "kind: Pod\n")?;
        let daemon = Daemon::start(&manifests(&dir.path().join("manifests"), ""))?;
        Ok(Self { dir, reader, daemon })
    }

    fn file(&self, name: &str, text: &str) -> Result<String> {
        let path = self.dir.path().join(name);
        fs::write(&path, text)?;
        Ok(path.to_string_lossy().into_owned())
    }

    fn read(&self) -> Result<()> {
        must(&self.reader, ["open", &self.manifest(), "r"])
    }

    fn manifest(&self) -> String {
        self.dir.path().join("manifests/etcd.yaml").to_string_lossy().into_owned()
    }

    fn policy(&self, allow: &str) -> String {
        manifests(&self.dir.path().join("manifests"), "").replace("allow: []", &format!("allow:\n{allow}"))
    }
}

fn text(output: &Output, code: i32) -> Result<String> {
    ensure!(output.status.code() == Some(code), "{output:?}");
    Ok(String::from_utf8(output.stdout.clone())?)
}

fn suggested_rule_makes_it_silent() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.read()?;
    let alert = scene.daemon.alert()?;
    // As somebody pastes it from a screen, not as it is written.
    let event = scene.file("event.json", &serde_json::to_string_pretty(&alert)?)?;
    let none = scene.file("none.yaml", &scene.policy("").replace("allow:\n", ""))?;
    let explained = text(&command(&["explain", &event, "--config", &none])?, 0)?;
    ensure!(explained.contains("a violation") && explained.contains("No rule is about"), "{explained}");
    ensure!(explained.lines().count() < 25, "more than a screen: {explained}");
    let suggested = explained.split_once("says so:\n").context("no rule is suggested")?.1;
    let policy = scene.policy(suggested);
    let allowing = scene.file("allowing.yaml", &policy)?;

    let reader = scene.reader.clone();
    must(&copy_to(&scene.dir.path().join("other"))?, ["open", &scene.manifest(), "r"])?;
    scene.daemon.alert()?;
    let lines: Vec<_> = scene.daemon.seen().iter().map(Value::to_string).collect();
    let events = scene.file("events.ndjson", &lines.join("\n"))?;
    let replayed = command(&["replay", &events, "--config", &allowing, "--exit-code"])?;
    let left: Vec<Value> = text(&replayed, 1)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let [left] = left.as_slice() else { anyhow::bail!("not one violation: {left:#?}") };
    let verdict = json!({"result": "violation", "reason": "exe_mismatch"});
    expect(left, &json!({"verdict": verdict, "process": {"exe": scene.dir.path().join("other")}}))?;
    let stderr = String::from_utf8_lossy(&replayed.stderr);
    ensure!(
        stderr.contains("1 violations, 0 of them allowed") && stderr.contains("1 of them violations"),
        "{stderr}"
    );

    scene.daemon.finish()?;
    let mut daemon = Daemon::start(&policy)?;
    must(&reader, ["open", &scene.dir.path().join("manifests/etcd.yaml").to_string_lossy(), "r"])?;
    let other = scene.dir.path().join("other");
    let marker =
        || must(&other, ["open", &scene.dir.path().join("manifests/etcd.yaml").to_string_lossy(), "r"]);
    daemon.silent_until(marker, &json!({"process": {"exe": other}}))?;
    daemon.finish().map(drop)
}

fn deleted_is_not_suggested() -> Result<()> {
    let mut scene = Scene::new()?;
    let script = format!(
        "mv {0} {0}.gone; exec 3<{0}.gone; rm {0}.gone; exec /proc/self/fd/3 open {1} r",
        scene.reader.display(),
        scene.manifest()
    );
    must(Path::new("/bin/sh"), ["-ec", &script])?;
    let alert = scene.daemon.alert()?;
    ensure!(at(&alert, "/process/exe_deleted") == &json!(true), "{alert:#}");
    let event = scene.file("event.json", &alert.to_string())?;
    let explained = text(&command(&["explain", &event])?, 0)?;
    ensure!(explained.contains("No rule should allow it") && !explained.contains("- id:"), "{explained}");
    scene.daemon.finish().map(drop)
}

fn lines_that_are_no_events() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("events");
    for (text, words) in [
        ("", "is empty"),
        ("{", "is not an event"),
        ("{\"kind\": \"health\"}", "is no access"),
        ("{\"kind\": \"alert\"}", "missing field"),
    ] {
        fs::write(&path, text)?;
        let output = command(&["explain", &path.to_string_lossy()])?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(2) && stderr.lines().count() == 1, "{text}: {output:?}");
        ensure!(stderr.contains(words), "no `{words}` in {stderr}");
    }
    fs::write(&path, "{\"kind\": \"health\"}\n\u{1b}[2J\n\n{\"kind\": \"alert\"}\n")?;
    let output = command(&["replay", &path.to_string_lossy()])?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(2), "{output:?}");
    ensure!(
        stderr.contains("events:2: ") && stderr.contains("events:4: ") && !stderr.contains('\u{1b}'),
        "{stderr}"
    );
    let absent = command(&["replay", "/nowhere/events"])?;
    ensure!(absent.status.code() == Some(2), "{absent:?}");
    Ok(())
}
