//! Doors on the file systems that nodes have. Which numbers a file has, and what else has them, differs from one to the next.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use tempfile::TempDir;

use super::{Skip, trials};
use crate::actor::{Holder, act, copy_to, shell};
use crate::daemon::{Daemon, policy};
use crate::event::expect;
use crate::node::is_guest;

pub fn all() -> Vec<Trial> {
    trials(
        "file_systems",
        &[
            ("ext4", || every_use("ext4")),
            ("xfs", || every_use("xfs")),
            ("btrfs", || every_use("btrfs")),
            ("subvolumes", subvolumes),
            ("nested_subvolumes", nested_subvolumes),
            ("side_by_side", side_by_side),
            ("executable_of_a_snapshot", executable_of_a_snapshot),
        ],
    )
}

/// One of its own.
struct Mounted {
    dir: TempDir,
}

impl Mounted {
    fn new(kind: &str) -> Result<Self> {
        // What mkfs.xfs wants at least. Little of it is ever written.
        const SIZE: u64 = 400 << 20;
        let dir = tempfile::tempdir()?;
        let (image, point) = (dir.path().join("image"), dir.path().join("mounted"));
        File::create(&image)?.set_len(SIZE)?;
        fs::create_dir(&point)?;
        shell(&format!("mkfs.{kind} -q {}", image.display()))?;
        let mounted = shell(&format!("mount -t {kind} -o loop {} {}", image.display(), point.display()));
        let known = fs::read_to_string("/proc/filesystems")?;
        let has_all =
            known.lines().any(|line| line.trim() == kind) && Path::new("/dev/loop-control").exists();
        match mounted {
            Err(_) if !is_guest() && !has_all => bail!(Skip("this kernel mounts no such file")),
            result => result.map(|()| Self { dir }),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("mounted").join(name)
    }

    fn file(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::create_dir_all(path.parent().context("it has a directory")?)?;
        fs::write(&path, "x")?;
        Ok(path)
    }

    /// A subvolume of btrfs. What one transaction makes has one generation, so this is the first of another.
    fn subvolume(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        shell(&format!("sync && btrfs subvolume create {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // The test has its result by then.
        let _left = shell(&format!("umount {}", self.path("").display()));
    }
}

fn open(path: &Path, mode: &str) -> Result<()> {
    act(["open", &path.to_string_lossy(), mode])
}

/// One of each kind, by every name, in order.
fn every_use(kind: &str) -> Result<()> {
    let mounted = Mounted::new(kind)?;
    let manifest = mounted.file("kubernetes/manifests/etcd.yaml")?;
    let key = mounted.file("kubernetes/pki/ca.key")?;
    let new = mounted.file("elsewhere/new")?;
    let (link, dir) = (mounted.path("elsewhere/link"), mounted.path("kubernetes/manifests"));
    fs::hard_link(&manifest, &link)?;
    let targets = format!(
        "static_pod_manifest: {{paths: [{}]}}, credential: {{paths: [{}/**/*.key]}}",
        dir.display(),
        mounted.path("kubernetes/pki").display()
    );
    let mut daemon = Daemon::start(&policy(&targets, ""))?;
    let seen = |daemon: &mut Daemon, action: &str, path: &Path, by: Option<&Path>| {
        let wanted = json!({"action": action, "target": {"path": path, "path_seen": by}});
        expect(&daemon.alert()?, &wanted).with_context(|| format!("{action} of {}", path.display()))
    };
    open(&manifest, "r")?;
    seen(&mut daemon, "open", &manifest, None)?;
    open(&link, "w")?;
    seen(&mut daemon, "write", &manifest, Some(&link))?;
    act(["file", "handle", &manifest.to_string_lossy(), "kept"])?;
    // By which of its names the kernel knows it then is open.
    let handle = daemon.alert()?;
    expect(&handle, &json!({"action": "open", "target": {"path": manifest}}))?;
    open(&key, "r")?;
    seen(&mut daemon, "open", &key, None)?;
    let (made, renamed) = (dir.join("made.yaml"), dir.join("renamed.yaml"));
    open(&made, "create")?;
    seen(&mut daemon, "create", &made, None)?;
    shell(&format!("mv {} {}", new.display(), renamed.display()))?;
    seen(&mut daemon, "rename", &renamed, None)?;
    open(&renamed, "r")?;
    seen(&mut daemon, "open", &renamed, None)?;
    shell(&format!("chmod 600 {}", renamed.display()))?;
    seen(&mut daemon, "chmod", &renamed, None)?;
    shell(&format!("rm {}", renamed.display()))?;
    seen(&mut daemon, "unlink", &renamed, None)?;
    daemon.finish().map(drop)
}

/// Something with this number. Numbers of btrfs only go up.
fn with_number(number: u64, make: impl Fn(u64) -> Result<PathBuf>) -> Result<PathBuf> {
    for attempt in 0..64 {
        let path = make(attempt)?;
        if fs::symlink_metadata(&path)?.ino() == number {
            return Ok(path);
        }
    }
    bail!("nothing has the number {number}")
}

/// Each subvolume numbers its files for itself, on one device: what has a door's number in another is none.
fn subvolumes() -> Result<()> {
    let mounted = Mounted::new("btrfs")?;
    mounted.subvolume("node")?;
    let manifest = mounted.file("node/kubernetes/manifests/etcd.yaml")?;
    let config = mounted.file("node/kubelet.yaml")?;
    // Its root has the number of the one that it is in.
    mounted.subvolume("node/etcd")?;
    let data = mounted.file("node/etcd/member/wal")?;
    let dir = manifest.parent().context("it is in a directory")?;
    let other = mounted.subvolume("other")?;
    let twin = with_number(fs::metadata(dir)?.ino(), |attempt| {
        let path = other.join(attempt.to_string());
        fs::create_dir(&path)?;
        Ok(path)
    })?;
    let inside = twin.join("inside");
    fs::write(&inside, "x")?;
    let second = mounted.subvolume("second")?;
    let other_config = with_number(fs::metadata(&config)?.ino(), |attempt| {
        let path = second.join(attempt.to_string());
        fs::write(&path, "x")?;
        Ok(path)
    })?;
    ensure!(
        fs::metadata(&second)?.ino() == fs::metadata(mounted.path("node"))?.ino(),
        "roots have one number"
    );
    let targets = format!(
        "static_pod_manifest: {{paths: [{}]}}, kubelet_config: {{paths: [{}]}}, datastore_file: {{paths: [{}]}}",
        dir.display(),
        config.display(),
        mounted.path("node/etcd").display()
    );
    let mut daemon = Daemon::start(&policy(&targets, ""))?;
    open(&inside, "r")?;
    open(&twin.join("made"), "create")?;
    open(&other_config, "w")?;
    shell(&format!("chmod 600 {}", other_config.display()))?;
    shell(&format!("rm {}", other_config.display()))?;
    let third = mounted.path("third");
    shell(&format!("mv {} {}", second.display(), third.display()))?;
    shell(&format!("mount -t tmpfs none {0} && umount {0}", third.display()))?;
    let by_itself = |path: &Path| json!({"action": "open", "target": {"path": path, "path_seen": null}});
    daemon.silent_until(|| open(&manifest, "r"), &by_itself(&manifest))?;
    daemon.silent_until(|| open(&config, "r"), &by_itself(&config))?;
    daemon.silent_until(|| open(&data, "r"), &by_itself(&data))?;
    // A snapshot has the same file once more, with the same secrets in it.
    let snapshot = mounted.path("snapshot");
    shell(&format!("btrfs subvolume snapshot {} {}", mounted.path("node").display(), snapshot.display()))?;
    let copy = snapshot.join("kubernetes/manifests/etcd.yaml");
    open(&copy, "r")?;
    expect(&daemon.alert()?, &json!({"action": "open", "target": {"path": manifest, "path_seen": copy}}))?;
    daemon.finish().map(drop)
}

/// Roots of subvolumes have one number, whether they are a door, are above one or have nothing to do with any.
fn nested_subvolumes() -> Result<()> {
    let mounted = Mounted::new("btrfs")?;
    let var = mounted.subvolume("var")?;
    fs::create_dir(var.join("lib"))?;
    let etcd = mounted.subvolume("var/lib/etcd")?;
    let rancher = mounted.subvolume("var/lib/rancher")?;
    let manifests = rancher.join("manifests");
    fs::create_dir(&manifests)?;
    let other = mounted.subvolume("other")?;
    fs::write(other.join("file"), "x")?;
    let targets = format!(
        "datastore_file: {{paths: [{}]}}, static_pod_manifest: {{paths: [{}]}}",
        etcd.display(),
        manifests.display()
    );
    let mut daemon = Daemon::start(&policy(&targets, ""))?;
    open(&other.join("file"), "r")?;
    open(&other.join("made"), "create")?;
    open(&var.join("made"), "create")?;
    // Never seen by the daemon before: the directory alone makes it a door.
    let wal = etcd.join("wal");
    daemon.silent_until(
        || open(&wal, "create"),
        &json!({"action": "create", "target": {"class": "datastore_file", "path": wal}}),
    )?;
    open(&manifests.join("a.yaml"), "create")?;
    expect(
        &daemon.alert()?,
        &json!({"action": "create", "target": {"class": "static_pod_manifest", "path": manifests.join("a.yaml")}}),
    )?;
    // Each is above its own door alone.
    let moved = var.join("lib/moved");
    shell(&format!("mv {} {}", rancher.display(), moved.display()))?;
    expect(&daemon.alert()?, &json!({"action": "rename", "target": {"class": "static_pod_manifest"}}))?;
    // A door stays one where it is moved to, for longer than until the next look.
    let aside = var.join("aside");
    shell(&format!("mv {} {}", etcd.display(), aside.display()))?;
    expect(&daemon.alert()?, &json!({"action": "rename", "target": {"class": "datastore_file"}}))?;
    daemon.wait_for("a look at the node", |event| {
        event["lifecycle"]["state"] == "target_lost" && event["lifecycle"]["target"] == json!(etcd)
    })?;
    open(&aside.join("wal"), "r")?;
    expect(&daemon.alert()?, &json!({"action": "open", "target": {"class": "datastore_file"}}))?;
    daemon.finish().map(drop)
}

/// On a kernel where fanotify tells of changes, it takes subvolumes of btrfs only one by one.
fn side_by_side() -> Result<()> {
    let (btrfs, xfs) = (Mounted::new("btrfs")?, Mounted::new("xfs")?);
    let outside = btrfs.file("dir/a")?;
    btrfs.subvolume("one")?;
    let first = btrfs.file("one/dir/b")?;
    btrfs.subvolume("two")?;
    let files = [first, xfs.file("dir/c")?, btrfs.file("two/dir/d")?, outside];
    let dirs: Vec<_> = files.iter().filter_map(|file| file.parent()?.to_str()).collect();
    let targets = format!("static_pod_manifest: {{paths: [{}]}}", dirs.join(", "));
    let mut daemon = Daemon::start(&policy(&targets, ""))?;
    for file in &files {
        shell(&format!("chmod 600 {}", file.display()))?;
        expect(&daemon.alert()?, &json!({"action": "chmod", "target": {"path": file}}))?;
        let renamed = file.with_extension("yaml");
        shell(&format!("mv {} {}", file.display(), renamed.display()))?;
        expect(&daemon.alert()?, &json!({"action": "rename", "target": {"path": renamed}}))?;
    }
    daemon.finish().map(drop)
}

/// It has the number, the generation and, in a mount namespace of its own, the path of the one that a rule names.
fn executable_of_a_snapshot() -> Result<()> {
    let mounted = Mounted::new("btrfs")?;
    let node = mounted.subvolume("node")?;
    let manifest = mounted.file("node/manifests/etcd.yaml")?;
    let tool = copy_to(&node.join("tool"))?;
    let snapshot = mounted.path("snapshot");
    shell(&format!("btrfs subvolume snapshot {} {}", node.display(), snapshot.display()))?;
    let rule = format!("{{id: tool, targets: static_pod_manifest, process: {{exe: {}}}}}", tool.display());
    let targets = format!("static_pod_manifest: {{paths: [{}]}}", node.join("manifests").display());
    let mut daemon = Daemon::start(&policy(&targets, &rule))?;
    let read = format!("open {} r", manifest.display());
    let own = Holder::apart(&tool, None, &read)?;
    daemon.silent_until(
        || open(&manifest, "w"),
        &json!({"action": "write", "verdict": {"reason": "exe_mismatch"}}),
    )?;
    drop(own);
    let copy = snapshot.join("tool");
    let other = Holder::apart(&tool, Some(&copy), &read)?;
    let wanted = json!({"verdict": {"reason": "exe_not_node_file"}, "process": {"exe": tool}});
    expect(&daemon.alert()?, &wanted)?;
    drop(other);
    // One that is gone can be either.
    let line = format!("mount --bind {} {1} && {1} {read}", copy.display(), tool.display());
    shell(&format!("unshare -m sh -c '{line}'"))?;
    expect(&daemon.alert()?, &wanted)?;
    daemon.finish().map(drop)
}
