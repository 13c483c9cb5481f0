//! Changes of a watched directory that open no file, and mounts over it: what each event says of both places.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::files::Scene;
use super::{Skip, trials};
use crate::actor::{program, shell};
use crate::event::{at, expect};

pub fn all() -> Vec<Trial> {
    trials(
        "directory",
        &[
            ("entries", entries),
            ("attributes", attributes),
            ("directory_itself", directory_itself),
            ("ancestor", ancestor),
            ("ancestor_made_anew_and_removed", ancestor_made_anew_and_removed),
            ("mount_over", mount_over),
            ("mount_over_ancestor", mount_over_ancestor),
            ("mount_in_a_private_namespace", mount_in_a_private_namespace),
            ("moved_directory_stays_watched", moved_directory_stays_watched),
            ("link_of_a_new_file", link_of_a_new_file),
            ("exchange_is_one_event", exchange_is_one_event),
        ],
    )
}

fn scene() -> Result<Scene> {
    Scene::new()
}

impl Scene {
    fn is_syscall(&self) -> bool {
        at(self.daemon.started(), "/lifecycle/backend") == "syscall"
    }

    /// Runs a line of shell in the scene's directory, and takes the alert it causes.
    fn causes(&mut self, line: &str, wanted: &Value) -> Result<Value> {
        shell(&format!("cd {}; {line}", self.dir.path().display()))?;
        self.next(line, wanted)
    }

    fn next(&mut self, line: &str, wanted: &Value) -> Result<Value> {
        let alert = self.daemon.alert()?;
        let mut wanted = wanted.clone();
        if self.is_syscall()
            && let Some(target) = wanted.get_mut("target").and_then(Value::as_object_mut)
        {
            // fanotify tells of a place that is not watched only that it is another.
            target.retain(|key, _| key != "from" && key != "to");
        }
        expect(&alert, &wanted).map_err(|error| error.context(line.to_owned()))?;
        Ok(alert)
    }
}

/// In each line the shell itself, or a program it starts, is the actor.
fn entries() -> Result<()> {
    let mut scene = scene()?;
    let manifest = |name: &str| scene.path("manifests").join(name);
    let (a, b, c, d) = (manifest("a.yaml"), manifest("b.yaml"), manifest("c"), manifest("d"));
    let (x, y) = (scene.path("x"), scene.path("y"));
    let etcd = scene.manifest.clone();
    fs::write(&x, "kind: Pod\n")?;
    let steps: [(&str, &str, &PathBuf, Value); 13] = [
        ("mv x manifests/a.yaml", "rename", &a, json!({"from": x})),
        ("mv manifests/a.yaml manifests/b.yaml", "rename", &b, json!({"from": a})),
        ("mv manifests/b.yaml y", "rename", &b, json!({"to": y, "from": null})),
        ("ln y manifests/a.yaml", "link", &a, json!({"from": y})),
        ("ln manifests/a.yaml x", "link", &a, json!({"to": x})),
        ("rm x; rm manifests/a.yaml", "unlink", &a, json!({})),
        ("ln -s /nowhere manifests/c", "symlink", &c, json!({})),
        ("rm manifests/c", "unlink", &c, json!({})),
        ("mkdir manifests/d", "create", &d, json!({})),
        ("rmdir manifests/d", "unlink", &d, json!({})),
        ("mkfifo manifests/c", "create", &c, json!({})),
        ("rm manifests/c", "unlink", &c, json!({})),
        ("mv y manifests/etcd.yaml", "rename", &etcd, json!({"from": y})),
    ];
    for (line, action, path, more) in steps {
        let mut target = json!({"class": "static_pod_manifest", "type": "file", "path": path});
        if let (Some(target), Value::Object(more)) = (target.as_object_mut(), more) {
            target.extend(more);
        }
        let wanted = json!({"action": action, "severity": "high", "target": target,
                            "rule": {"id": "static_pod_manifest.write"}});
        let alert = scene.causes(line, &wanted)?;
        ensure!(at(&alert, "/process/args/0").is_string(), "{alert:#}");
    }
    scene.daemon.finish().map(drop)
}

fn attributes() -> Result<()> {
    let mut scene = scene()?;
    let path = scene.manifest.clone();
    for (line, action) in [
        ("chmod 600 manifests/etcd.yaml", "chmod"),
        ("chown 1 manifests/etcd.yaml", "chown"),
        ("ln manifests/etcd.yaml other", "link"),
        ("chmod 640 other", "chmod"),
    ] {
        scene.causes(line, &json!({"action": action, "target": {"path": path}}))?;
    }
    scene.daemon.finish().map(drop)
}

fn directory_itself() -> Result<()> {
    let mut scene = scene()?;
    let (dir, moved) = (scene.path("manifests"), scene.path("moved"));
    scene.causes("mv manifests moved", &json!({"action": "rename", "target": {"path": dir, "to": moved}}))?;
    scene.causes("mkdir manifests", &json!({"action": "create", "target": {"path": dir}}))?;
    let actor = program()?;
    let line = format!("{} open manifests/new.yaml create", actor.display());
    scene.causes(&line, &json!({"action": "create", "target": {"path": dir.join("new.yaml")}}))?;
    scene.daemon.finish().map(drop)
}

fn ancestor() -> Result<()> {
    let mut scene = scene()?;
    let (dir, moved) = (scene.dir.path().to_owned(), scene.dir.path().with_extension("moved"));
    let line = format!("mv {} {}", dir.display(), moved.display());
    scene.causes(
        &line,
        &json!({"action": "rename", "target": {"class": "static_pod_manifest", "path": dir, "to": moved}}),
    )?;
    let line = format!("mv {} {}", moved.display(), dir.display());
    shell(&line)?;
    scene.next("and then", &json!({"action": "rename", "target": {"class": "static_pod_manifest"}}))?;
    let actor = program()?;
    let line = format!("{} open manifests/new.yaml create", actor.display());
    scene.causes(&line, &json!({"action": "create", "target": {"path": dir.join("manifests/new.yaml")}}))?;
    scene.daemon.finish().map(drop)
}

/// Nobody had time to look at what took the name. Where the daemon did look while nothing had it, making and removing a directory there
/// is no access, and it is done again.
fn ancestor_made_anew_and_removed() -> Result<()> {
    let mut scene = scene()?;
    if scene.is_syscall() {
        // fanotify tells of it if the daemon has looked by then.
        return Ok(());
    }
    let (dir, moved) = (scene.dir.path().to_owned(), scene.dir.path().with_extension("moved"));
    for _ in 0..20 {
        let from = scene.daemon.seen().len();
        fs::rename(&dir, &moved)?;
        fs::create_dir(&dir)?;
        fs::remove_dir(&dir)?;
        fs::rename(&moved, &dir)?;
        // If the daemon looked in between, what comes back is told as what takes a name, and not as a directory above.
        scene.daemon.wait_for_from(from, "the end of it", |event| {
            let comes_back =
                at(event, "/target/path") == &json!(dir) && at(event, "/target/from") == &json!(moved);
            event["action"] == "rename" && (at(event, "/target/to") == &json!(dir) || comes_back)
        })?;
        let removed = |event: &Value| event["action"] == "unlink" && at(event, "/target/path") == &json!(dir);
        if scene.daemon.seen()[from..].iter().any(removed) {
            return scene.daemon.stop(Signal::TERM).map(drop);
        }
    }
    bail!("the removal is never told of: {:#?}", scene.daemon.seen())
}

fn mount_over() -> Result<()> {
    let mut scene = scene()?;
    let dir = scene.path("manifests");
    let actor = program()?;
    // In one go: the write comes right after the mount.
    let line =
        format!("mount -t tmpfs none manifests; exec {} open manifests/a.yaml create", actor.display());
    scene.causes(
        &line,
        &json!({"action": "mount", "severity": "high",
                "target": {"class": "static_pod_manifest", "type": "mount", "path": dir, "fstype": "tmpfs", "source": "none"}}),
    )?;
    scene.next("and then", &json!({"action": "create", "target": {"path": dir.join("a.yaml")}}))?;
    scene.causes(
        "umount -l manifests",
        &json!({"action": "umount", "target": {"type": "mount", "path": dir}}),
    )?;
    let line = format!("{} open manifests/etcd.yaml r", actor.display());
    scene.causes(&line, &json!({"action": "open", "target": {"path": dir.join("etcd.yaml")}}))?;
    scene.daemon.finish().map(drop)
}

fn mount_over_ancestor() -> Result<()> {
    let mut scene = scene()?;
    let dir = scene.dir.path().to_owned();
    let line = format!(
        "cd /; mount -t tmpfs none {0}; mkdir {0}/manifests; {1} open {0}/manifests/a.yaml create",
        dir.display(),
        program()?.display()
    );
    scene.causes(
        &line,
        &json!({"action": "mount", "target": {"class": "static_pod_manifest", "path": dir}}),
    )?;
    // Whether the directory's making is seen depends on when the daemon looks; the file's is seen always.
    let made = dir.join("manifests/a.yaml");
    scene.daemon.wait_for("the file", |event| at(event, "/target/path") == &json!(made))?;
    shell(&format!("cd /; umount -l {}", dir.display()))?;
    scene.daemon.wait_for("the end of the mount", |event| {
        at(event, "/action") == "umount" && at(event, "/target/path") == &json!(dir)
    })?;
    Ok(())
}

/// What sandboxed services do all the time hides nothing from the node.
fn mount_in_a_private_namespace() -> Result<()> {
    let mut scene = scene()?;
    let dir = scene.dir.path().to_owned();
    shell(&format!("unshare -m sh -ec 'mount --make-rprivate /; mount --bind {0} {0}'", dir.display()))?;
    scene.causes("chmod 600 manifests/etcd.yaml", &json!({"action": "chmod"}))?;
    scene.daemon.finish().map(drop)
}

fn moved_directory_stays_watched() -> Result<()> {
    let mut scene = scene()?;
    let dir = scene.path("manifests");
    scene.causes("mv manifests moved; mkdir manifests", &json!({"action": "rename"}))?;
    scene.next("and then", &json!({"action": "create", "target": {"path": dir}}))?;
    scene.daemon.wait_for("the new directory to be armed", |event| {
        at(event, "/lifecycle/state") == "target_armed" || at(event, "/action") == "create"
    })?;
    let line = format!("{} open moved/etcd.yaml w", program()?.display());
    scene.causes(&line, &json!({"action": "write", "target": {"class": "static_pod_manifest"}}))?;
    scene.daemon.finish().map(drop)
}

/// In one go: the daemon has no time to look at the new file.
fn link_of_a_new_file() -> Result<()> {
    let mut scene = scene()?;
    if scene.is_syscall() {
        bail!(Skip("raw tracepoints know a new file only when the daemon has looked"));
    }
    let (new, actor) = (scene.path("manifests/new.yaml"), program()?);
    let line = format!(
        "{0} open manifests/new.yaml create; ln manifests/new.yaml outside; {0} open outside w",
        actor.display()
    );
    scene.causes(&line, &json!({"action": "create", "target": {"path": new}}))?;
    scene
        .next("and then", &json!({"action": "link", "target": {"path": new, "to": scene.path("outside")}}))?;
    scene.next("and then", &json!({"action": "write", "target": {"class": "static_pod_manifest"}}))?;
    scene.daemon.finish().map(drop)
}

/// Whichever of the two is named first, with a file outside and with one inside.
fn exchange_is_one_event() -> Result<()> {
    let mut scene = scene()?;
    let actor = program()?.display().to_string();
    fs::write(scene.path("outside"), "kind: Pod\n")?;
    fs::write(scene.path("manifests/other.yaml"), "kind: Pod\n")?;
    for pair in ["outside manifests/etcd.yaml", "manifests/etcd.yaml outside"] {
        let wanted = json!({"action": "rename", "target": {"path": scene.manifest}});
        scene.causes(&format!("exec {actor} file exchange {pair}"), &wanted)?;
    }
    scene.causes(
        &format!("exec {actor} file exchange manifests/etcd.yaml manifests/other.yaml"),
        &json!({"action": "rename", "target": {"class": "static_pod_manifest"}}),
    )?;
    scene.daemon.finish().map(drop)
}
