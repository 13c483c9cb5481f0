//! Ways to a static pod manifest.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use super::{own_exe, trials};
use crate::actor::{act, must, program, shell};
use crate::daemon::{Daemon, manifests, paths, policy};
use crate::event::{at, expect};

pub fn all() -> Vec<Trial> {
    trials(
        "files",
        &[
            ("read", read),
            ("write", write),
            ("create", create),
            ("list", list),
            ("subdirectory", subdirectory),
            ("symlink", through_symlink),
            ("symlinked_directory", through_symlinked_directory),
            ("hard_link_outside", through_hard_link),
            ("bind_mount", through_bind_mount),
            ("file_bind_mount", through_file_bind_mount),
            ("chroot", in_chroot),
            ("ancestors", ancestors),
            ("policy_names_a_symlink", policy_names_a_symlink),
            ("number_used_again", number_used_again),
            ("number_used_again_inside", number_used_again_inside),
            ("generation_changed", generation_changed),
        ],
    )
}

/// A directory with one manifest, watched.
pub(super) struct Scene {
    pub(super) dir: TempDir,
    pub(super) manifest: PathBuf,
    pub(super) daemon: Daemon,
}

impl Scene {
    pub(super) fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let manifests_dir = dir.path().join("manifests");
        fs::create_dir(&manifests_dir)?;
        let manifest = manifests_dir.join("etcd.yaml");
        fs::write(&manifest, "kind: Pod\n")?;
        let daemon = Daemon::start(&manifests(&manifests_dir, ""))?;
        Ok(Self { dir, manifest, daemon })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The actor opens a path, and the alert names the manifest.
    fn opened(mut self, path: &Path, mode: &str) -> Result<()> {
        act(["open", &path.to_string_lossy(), mode])?;
        let alert = self.daemon.alert()?;
        expect(
            &alert,
            &json!({
                "target": {"class": "static_pod_manifest", "type": "file", "path": self.manifest},
                "process": {"exe": program()?, "args": [program()?, "open", path, mode]},
            }),
        )?;
        self.daemon.finish().map(drop)
    }
}

fn read() -> Result<()> {
    let mut scene = Scene::new()?;
    act(["open", &scene.manifest.to_string_lossy(), "r"])?;
    let alert = scene.daemon.alert()?;
    expect(
        &alert,
        &json!({
            "kind": "alert",
            "action": "open",
            "severity": "low",
            "rule": {"id": "static_pod_manifest.read"},
            "verdict": {"result": "violation", "reason": "no_rule_for_target"},
            "target": {
                "class": "static_pod_manifest",
                "type": "file",
                "path": scene.manifest,
                "access": ["read"],
            },
            "process": {
                "comm": "actor",
                "exe": program()?,
                "args": [program()?, "open", scene.manifest, "r"],
                "args_truncated": false,
                "cwd": std::env::current_dir()?,
                "uid": 0,
                "euid": 0,
                "host_ns": {"mnt": true, "pid": true, "net": true},
                "parent": {"pid": std::process::id(), "exe": own_exe()?},
            },
        }),
    )?;
    ensure!(at(&alert, "/target/path_seen").is_null(), "path_seen repeats the path: {alert:#}");
    ensure!(at(&alert, "/process/pid") == at(&alert, "/process/tid"), "{alert:#}");
    scene.daemon.finish().map(drop)
}

fn write() -> Result<()> {
    let mut scene = Scene::new()?;
    for (mode, access) in [("w", json!(["write"])), ("rw", json!(["read", "write"]))] {
        act(["open", &scene.manifest.to_string_lossy(), mode])?;
        expect(
            &scene.daemon.alert()?,
            &json!({
                "action": "write",
                "severity": "high",
                "rule": {"id": "static_pod_manifest.write"},
                "target": {"path": scene.manifest, "access": access},
            }),
        )?;
    }
    scene.daemon.finish().map(drop)
}

fn create() -> Result<()> {
    let mut scene = Scene::new()?;
    let new = scene.path("manifests/new.yaml");
    act(["open", &new.to_string_lossy(), "create"])?;
    expect(
        &scene.daemon.alert()?,
        &json!({
            "action": "create",
            "severity": "high",
            "target": {"path": new, "access": ["write"]},
        }),
    )?;
    scene.daemon.finish().map(drop)
}

fn list() -> Result<()> {
    let mut scene = Scene::new()?;
    let dir = scene.path("manifests");
    act(["open", &dir.to_string_lossy(), "r"])?;
    expect(&scene.daemon.alert()?, &json!({"action": "open", "target": {"path": dir}}))?;
    scene.daemon.finish().map(drop)
}

fn subdirectory() -> Result<()> {
    let mut scene = Scene::new()?;
    let sub = scene.path("manifests/a/b");
    fs::create_dir_all(&sub)?;
    let file = sub.join("deep.yaml");
    act(["open", &file.to_string_lossy(), "create"])?;
    expect(&scene.daemon.alert()?, &json!({"action": "create", "target": {"path": file}}))?;
    scene.daemon.finish().map(drop)
}

fn through_symlink() -> Result<()> {
    let scene = Scene::new()?;
    let link = scene.path("link.yaml");
    symlink(&scene.manifest, &link)?;
    scene.opened(&link, "r")
}

fn through_symlinked_directory() -> Result<()> {
    let scene = Scene::new()?;
    let link = scene.path("link");
    symlink(scene.path("manifests"), &link)?;
    scene.opened(&link.join("etcd.yaml"), "w")
}

fn through_hard_link() -> Result<()> {
    let scene = Scene::new()?;
    let link = scene.path("innocent");
    fs::hard_link(&scene.manifest, &link)?;
    scene.opened(&link, "w")
}

fn through_bind_mount() -> Result<()> {
    let mut scene = Scene::new()?;
    let point = scene.path("elsewhere");
    fs::create_dir(&point)?;
    shell(&format!(
        "unshare -m sh -ec 'mount --bind {} {}; exec {} open {}/etcd.yaml w'",
        scene.path("manifests").display(),
        point.display(),
        program()?.display(),
        point.display(),
    ))?;
    expect(
        &scene.daemon.alert()?,
        &json!({
            "action": "write",
            "severity": "critical",
            "target": {"path": scene.manifest, "path_seen": point.join("etcd.yaml")},
            "process": {"exe": program()?, "host_ns": {"mnt": false, "net": true}},
        }),
    )?;
    scene.daemon.finish().map(drop)
}

fn through_file_bind_mount() -> Result<()> {
    let mut scene = Scene::new()?;
    let point = scene.path("file");
    fs::write(&point, "")?;
    shell(&format!(
        "unshare -m sh -ec 'mount --bind {} {}; exec {} open {} r'",
        scene.manifest.display(),
        point.display(),
        program()?.display(),
        point.display(),
    ))?;
    expect(&scene.daemon.alert()?, &json!({"target": {"path": scene.manifest, "path_seen": point}}))?;
    scene.daemon.finish().map(drop)
}

fn in_chroot() -> Result<()> {
    let mut scene = Scene::new()?;
    fs::copy(program()?, scene.path("actor"))?;
    shell(&format!("chroot {} /actor open /manifests/etcd.yaml r", scene.dir.path().display()))?;
    expect(
        &scene.daemon.alert()?,
        &json!({
            "target": {"path": scene.manifest},
            "process": {"exe": scene.path("actor"), "args": ["/actor", "open", "/manifests/etcd.yaml", "r"]},
        }),
    )?;
    scene.daemon.finish().map(drop)
}

fn policy_names_a_symlink() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (real, link) = (dir.path().join("real"), dir.path().join("manifests"));
    fs::create_dir(&real)?;
    symlink("real", &link)?;
    let mut daemon = Daemon::start(&manifests(&link, ""))?;
    act(["open", &real.join("a.yaml").to_string_lossy(), "create"])?;
    expect(
        &daemon.alert()?,
        &json!({"target": {"path": link.join("a.yaml"), "path_seen": real.join("a.yaml")}}),
    )?;
    daemon.finish().map(drop)
}

/// Each process of a chain, from the one that acted outwards, with its own arguments.
fn ancestors() -> Result<()> {
    let mut scene = Scene::new()?;
    let manifest = scene.manifest.to_string_lossy().into_owned();
    act(["chain", "3", "open", &manifest, "r"])?;
    let alert = scene.daemon.alert()?;
    let actor = program()?;
    expect(
        &alert,
        &json!({"process": {"exe": actor, "args": [actor, "chain", "0", "open", manifest, "r"]}}),
    )?;
    let list = at(&alert, "/process/ancestors").as_array().context("no ancestors")?;
    let line: Vec<_> = std::iter::once(at(&alert, "/process/parent")).chain(list).collect();
    // The harness is the fourth above, whatever started it may follow.
    ensure!(line.len() >= 4, "{alert:#}");
    for ancestor in &line[..3] {
        expect(ancestor, &json!({"exe": actor, "comm": "actor"}))?;
    }
    expect(line[3], &json!({"pid": std::process::id(), "exe": own_exe()?}))?;
    let pids: BTreeSet<_> = line.iter().map(|ancestor| ancestor["pid"].as_u64()).collect();
    ensure!(pids.len() == line.len(), "a process is its own ancestor: {alert:#}");
    scene.daemon.finish().map(drop)
}

/// A file system gives the number of a file that was just replaced to the next one, which is no door. Whether it does is its own
/// affair, and whether the daemon has looked by then a matter of time: so many times.
fn number_used_again() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let at_dir = |name: &str| dir.path().join(name);
    let (watched, elsewhere) = (at_dir("watched"), at_dir("elsewhere"));
    fs::create_dir(&watched)?;
    fs::create_dir(&elsewhere)?;
    let config = watched.join("config.yaml");
    fs::write(&config, "kind: KubeletConfiguration\n")?;
    let mut daemon = Daemon::start(&policy(&paths("kubelet_config", &[&config]), ""))?;
    let mut again = 0;
    for round in 0..20 {
        let (old, new) = (fs::metadata(&config)?.ino(), at_dir("new"));
        fs::write(&new, "kind: KubeletConfiguration\n")?;
        fs::rename(&new, &config)?;
        for name in 0..8 {
            let other = elsewhere.join(format!("{round}-{name}"));
            fs::write(&other, "")?;
            if fs::metadata(&other)?.ino() == old {
                let other = other.to_string_lossy();
                act(["open", &other, "r"])?;
                shell(&format!("chmod 600 {other}; rm {other}"))?;
                again += 1;
                break;
            }
        }
    }
    ensure!(again > 0 || !is_ext4(dir.path())?, "no number was used again");
    daemon.silent_until(
        || act(["open", &config.to_string_lossy(), "r"]),
        &json!({"target": {"path": config, "path_seen": null}}),
    )?;
    daemon.finish().map(drop)
}

fn is_ext4(path: &Path) -> Result<bool> {
    const EXT4_SUPER_MAGIC: u64 = 0xef53;
    Ok(rustix::fs::statfs(path)?.f_type.cast_unsigned() == EXT4_SUPER_MAGIC)
}

/// One that is made where all is watched is a door, whatever number it has, whatever it is called and by whatever path it is made.
fn number_used_again_inside() -> Result<()> {
    let mut scene = Scene::new()?;
    let dir = scene.manifest.parent().context("it is in a directory")?.to_owned();
    let (bound, root) = (scene.path("bound"), Path::new("/proc/self/root").join(dir.strip_prefix("/")?));
    fs::create_dir(&bound)?;
    shell(&format!("mount --bind {} {}", dir.display(), bound.display()))?;
    let mut last = scene.manifest.clone();
    let result = (0..24).try_for_each(|round| {
        let (name, by) = (format!("{round}.yaml"), [&dir, &bound, &root][round % 3]);
        let (next, by) = (dir.join(&name), by.join(&name));
        fs::remove_file(&last)?;
        for (mode, action) in [("create", "create"), ("r", "open"), ("w", "write")] {
            act(["open", &by.to_string_lossy(), mode])?;
            let alert = scene.daemon.alert()?;
            expect(&alert, &json!({"action": action, "target": {"path": next}}))?;
        }
        last = next;
        anyhow::Ok(())
    });
    let Scene { dir: _dir, daemon, .. } = scene;
    let result = result.and_then(|()| daemon.finish().map(drop));
    // Afterwards, because the end of such a mount is told, too.
    shell(&format!("umount {}", bound.display()))?;
    result
}

/// Whoever owns a file may be able to give it another generation, as if it were a new one with the same number.
fn generation_changed() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (config, second) = (dir.path().join("config.yaml"), dir.path().join("second"));
    fs::write(&config, "kind: KubeletConfiguration\n")?;
    fs::hard_link(&config, &second)?;
    let mut daemon = Daemon::start(&policy(&paths("kubelet_config", &[&config]), ""))?;
    let changed = shell(&format!("chattr -v 4711 {}", second.display()));
    if !is_ext4(dir.path())? {
        ensure!(changed.is_err(), "the generation of a file was changed, and not on ext4");
        return daemon.finish().map(drop);
    }
    // With checksums of its metadata, ext4 refuses.
    if changed.is_err() {
        return daemon.stop(Signal::TERM).map(drop);
    }
    let target = json!({"path": config, "path_seen": second});
    let actor = program()?;
    must(&actor, ["open", &second.to_string_lossy(), "r"])?;
    let opened = json!({"action": "open", "process": {"exe": actor}, "target": target});
    daemon.wait_for("an open by its number", |event| expect(event, &opened).is_ok())?;
    daemon.stop(Signal::TERM).map(drop)
}
