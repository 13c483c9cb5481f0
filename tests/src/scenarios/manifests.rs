//! What a written manifest holds comes in an event of its own.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::trials;
use crate::actor::{act, shell};
use crate::daemon::{Daemon, manifests};
use crate::event::{at, expect};

pub fn all() -> Vec<Trial> {
    trials(
        "manifests",
        &[
            ("written", written),
            ("renamed_in", renamed_in),
            ("written_slowly", written_slowly),
            ("symbolic_link_out", symbolic_link_out),
            ("bomb", bomb),
            ("told_at_the_end", told_at_the_end),
            ("the_same_once", the_same_once),
        ],
    )
}

const POD: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: x, namespace: NO_SUCH}
spec:
  hostPID: true
  containers:
  - name: a
    image: registry.example/a:1
    env: [{name: PASSWORD, value: hunter2}]
    securityContext: {privileged: true}
  volumes: [{name: r, hostPath: {path: /}}]
";

struct Scene {
    dir: TempDir,
    outside: TempDir,
    daemon: Daemon,
}

impl Scene {
    fn new() -> Result<Self> {
        let (dir, outside) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let daemon = Daemon::start(&manifests(dir.path(), ""))?;
        Ok(Self { dir, outside, daemon })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The event about what the manifest holds, which follows the one that tells of the access.
    fn told(&mut self, name: &str) -> Result<Value> {
        let path = json!(self.path(name));
        let told = |event: &Value| event["follows"].is_string() && at(event, "/target/path") == &path;
        let told = self.daemon.wait_for(&format!("what {name} holds"), told)?;
        let alert = self.daemon.seen().iter().find(|event| event["id"] == told["follows"]);
        ensure!(
            alert.is_some_and(|alert| at(alert, "/target/path") == &path),
            "it follows nothing: {told:#}"
        );
        Ok(told)
    }
}

fn holds_the_pod() -> Value {
    json!({
        "kind": "alert",
        "severity": "critical",
        "manifest": {
            "parses": true,
            "attention": ["invalid_namespace", "privileged", "privileged_on_host", "host_pid", "host_path_root"],
            "pods": [{
                "name": "x",
                "namespace": "NO_SUCH",
                "namespace_valid": false,
                "host_pid": true,
                "host_network": false,
                "privileged": true,
                "host_paths": ["/"],
                "images": ["registry.example/a:1"],
            }],
        },
    })
}

/// Not by this process, whose accesses are left out elsewhere.
fn write(path: &Path, text: &str) -> Result<()> {
    let source = tempfile::NamedTempFile::new()?;
    fs::write(source.path(), text)?;
    shell(&format!("cat {} > {}", source.path().display(), path.display()))
}

fn written() -> Result<()> {
    let mut scene = Scene::new()?;
    write(&scene.path("x.yaml"), POD)?;
    let told = scene.told("x.yaml")?;
    expect(&told, &holds_the_pod())?;
    expect(&told, &json!({"process": {"comm": "sh"}}))?;
    ensure!(!told.to_string().contains("hunter2"), "{told:#}");
    Ok(())
}

fn renamed_in() -> Result<()> {
    let mut scene = Scene::new()?;
    let outside = scene.outside.path().join("x.yaml");
    fs::write(&outside, POD)?;
    shell(&format!("mv {} {}", outside.display(), scene.path("x.yaml").display()))?;
    expect(&scene.told("x.yaml")?, &holds_the_pod())
}

/// Only what is there when the writer is done counts.
fn written_slowly() -> Result<()> {
    let mut scene = Scene::new()?;
    let path = scene.path("x.yaml");
    let mut file = fs::File::create(&path)?;
    for line in POD.lines() {
        writeln!(file, "{line}")?;
        std::thread::yield_now();
    }
    drop(file);
    expect(&scene.told("x.yaml")?, &holds_the_pod())
}

fn symbolic_link_out() -> Result<()> {
    let mut scene = Scene::new()?;
    let outside = scene.outside.path().join("x.yaml");
    fs::write(&outside, POD)?;
    shell(&format!("ln -s {} {}", outside.display(), scene.path("x.yaml").display()))?;
    let told = scene.told("x.yaml")?;
    expect(&told, &json!({"manifest": {"link": outside, "parses": false, "attention": ["symlink_out"]}}))
}

fn bomb() -> Result<()> {
    let mut scene = Scene::new()?;
    let bomb = (0..12).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, level| {
        format!("{text}a{}: &a{} [{}]\n", level + 1, level + 1, vec![format!("*a{level}"); 9].join(", "))
    });
    write(&scene.path("bomb.yaml"), &bomb)?;
    let told = scene.told("bomb.yaml")?;
    expect(&told, &json!({"manifest": {"parses": false}}))?;
    ensure!(at(&told, "/manifest/problem").as_str().is_some_and(|why| why.contains("than a manifest needs")));
    // The daemon goes on.
    write(&scene.path("x.yaml"), POD)?;
    expect(&scene.told("x.yaml")?, &holds_the_pod())
}

/// A daemon that is stopped tells of what was just written.
fn told_at_the_end() -> Result<()> {
    let mut scene = Scene::new()?;
    write(&scene.path("x.yaml"), POD)?;
    scene.daemon.alert()?;
    let Scene { daemon, dir: _dir, outside: _outside } = scene;
    let (_, events) = daemon.stop(rustix::process::Signal::TERM)?;
    let told = events.iter().filter(|event| event["manifest"].is_object()).count();
    ensure!(told == 1, "told {told} times: {events:#?}");
    Ok(())
}

/// The content is told again only when it is another.
fn the_same_once() -> Result<()> {
    let mut scene = Scene::new()?;
    let path = scene.path("x.yaml");
    write(&path, POD)?;
    scene.told("x.yaml")?;
    write(&path, POD)?;
    act(["open", &path.to_string_lossy(), "r"])?;
    write(&scene.path("y.yaml"), POD)?;
    scene.told("y.yaml")?;
    let Scene { daemon, dir: _dir, outside: _outside } = scene;
    let (_, events) = daemon.stop(rustix::process::Signal::TERM)?;
    let told = |name: &str| {
        let is_it = |event: &&Value| {
            event["manifest"].is_object()
                && at(event, "/target/path").as_str().is_some_and(|path| path.ends_with(name))
        };
        events.iter().filter(is_it).count()
    };
    ensure!((told("x.yaml"), told("y.yaml")) == (1, 1), "{events:#?}");
    Ok(())
}
