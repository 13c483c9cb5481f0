//! Configuration and data, manifests from a server, and doors inside doors.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::trials;
use crate::actor::{act, copy_to, must, program};
use crate::daemon::{Daemon, paths, policy};
use crate::event::{at, expect};
use crate::node::{Etcd, free_port, which};

pub fn all() -> Vec<Trial> {
    trials(
        "doors",
        &[
            ("config_file", config_file),
            ("config_replaced_by_rename", config_replaced_by_rename),
            ("config_made_later", config_made_later),
            ("config_becomes_a_directory", config_becomes_a_directory),
            ("datastore_file", datastore_file),
            ("manifests_over_http", manifests_over_http),
            ("no_manifests_and_no_port_is_a_gap", no_manifests_and_no_port_is_a_gap),
            ("nearest_door_counts", nearest_door_counts),
            ("door_inside_another_made_later", door_inside_another_made_later),
            ("file_inside_another_replaced_by_rename", file_inside_another_replaced_by_rename),
            ("pattern_below_a_symlink", pattern_below_a_symlink),
        ],
    )
}

/// A node's directory as kubeadm makes it, in miniature.
pub(super) struct Node {
    dir: TempDir,
}

impl Node {
    pub(super) fn new() -> Result<Self> {
        let node = Self { dir: tempfile::tempdir()? };
        for dir in ["kubernetes/manifests", "kubernetes/pki/etcd", "kubelet"] {
            fs::create_dir_all(node.path(dir))?;
        }
        for file in [
            "kubernetes/admin.conf",
            "kubernetes/README",
            "kubernetes/pki/ca.key",
            "kubernetes/pki/ca.crt",
            "kubernetes/pki/etcd/server.key",
            "kubernetes/manifests/etcd.yaml",
            "kubelet/config.yaml",
        ] {
            fs::write(node.path(file), "x")?;
        }
        Ok(node)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn targets(&self, class: &str, names: &[&str]) -> String {
        let names: Vec<_> = names.iter().map(|name| self.path(name)).collect();
        let names: Vec<_> = names.iter().map(PathBuf::as_path).collect();
        paths(class, &names)
    }

    /// Watches the keys and kubeconfigs.
    pub(super) fn keys(&self) -> Result<Daemon> {
        let targets = self.targets("credential", &["kubernetes/*.conf", "kubernetes/pki/**/*.key"]);
        Daemon::start(&policy(&targets, ""))
    }

    pub(super) fn config(&self) -> Result<Daemon> {
        Daemon::fresh(&policy(&self.targets("kubelet_config", &["kubelet/config.yaml"]), ""))
    }

    pub(super) fn read(&self, name: &str) -> Result<()> {
        open(&self.path(name), "r")
    }
}

pub(super) fn open(path: &Path, mode: &str) -> Result<()> {
    act(["open", &path.to_string_lossy(), mode])
}

pub(super) fn read_of(class: &str, path: &Path) -> Value {
    json!({
        "action": "open",
        "rule": {"id": format!("{class}.read")},
        "target": {"class": class, "type": "file", "path": path},
    })
}

fn config_file() -> Result<()> {
    let node = Node::new()?;
    let mut daemon = node.config()?;
    let (config, link) = (node.path("kubelet/config.yaml"), node.path("innocent"));
    fs::write(node.path("kubelet/other.yaml"), "x")?;
    fs::hard_link(&config, &link)?;
    node.read("kubelet/other.yaml")?;
    for path in [&config, &link] {
        open(path, "r")?;
        let alert = daemon.alert()?;
        expect(&alert, &read_of("kubelet_config", &config))?;
        expect(&alert, &json!({"severity": "low"}))?;
    }
    open(&config, "w")?;
    expect(&daemon.alert()?, &json!({"severity": "high", "rule": {"id": "kubelet_config.write"}}))?;
    daemon.finish().map(drop)
}

/// Without waiting: what takes the name is the configuration at once.
fn config_replaced_by_rename() -> Result<()> {
    let node = Node::new()?;
    let mut daemon = node.config()?;
    let config = node.path("kubelet/config.yaml");
    for index in 0..20 {
        let new = node.path(&format!("kubelet/config.yaml.{index}"));
        fs::write(&new, "x")?;
        fs::rename(&new, &config)?;
        open(&config, "r")?;
        // Some file systems give the number of the old file to the next new one, which is no configuration.
        expect(&daemon.alert()?, &read_of("kubelet_config", &config))?;
    }
    daemon.finish().map(drop)
}

fn config_made_later() -> Result<()> {
    let node = Node::new()?;
    let config = node.path("kubelet/config.yaml");
    fs::remove_file(&config)?;
    let mut daemon = node.config()?;
    expect(
        daemon.started(),
        &json!({"lifecycle": {"targets_waiting": [
            {"class": "kubelet_config", "target": config, "why": "does not exist"}
        ]}}),
    )?;
    open(&config, "create")?;
    expect(
        &daemon.alert()?,
        &json!({"action": "create", "rule": {"id": "kubelet_config.write"}, "target": {"path": config}}),
    )?;
    daemon.wait_for("the target to be armed", |event| at(event, "/lifecycle/state") == "target_armed")?;
    daemon.finish().map(drop)
}

fn config_becomes_a_directory() -> Result<()> {
    let node = Node::new()?;
    let mut daemon = node.config()?;
    let config = node.path("kubelet/config.yaml");
    fs::remove_file(&config)?;
    fs::create_dir(&config)?;
    open(&config.join("10.yaml"), "create")?;
    expect(&daemon.alert()?, &json!({"action": "create", "target": {"path": config.join("10.yaml")}}))?;
    daemon.finish().map(drop)
}

/// A real etcd at work is silent; whoever else reads its data is not.
fn datastore_file() -> Result<()> {
    let etcd = Etcd::start()?;
    let rule =
        format!("{{id: etcd, targets: datastore_file, process: {{exe: {}}}}}", which("etcd")?.display());
    let data = etcd.data();
    let mut daemon =
        Daemon::start_with(Some(&policy(&paths("datastore_file", &[&data]), &rule)), &["--show-allowed"])?;
    let endpoint = format!("--endpoints=http://127.0.0.1:{}", etcd.port);
    must(&which("etcdctl")?, [&*endpoint, "put", "/registry/secrets/x", "y"])?;
    // Its own doing: defragmentation makes the file anew.
    must(&which("etcdctl")?, [&*endpoint, "defrag"])?;
    let own = daemon.wait_for("etcd's own access", |event| event["kind"] == "allowed")?;
    expect(&own, &json!({"target": {"class": "datastore_file"}, "process": {"exe": which("etcd")?}}))?;
    let db = data.join("member/snap/db");
    daemon.silent_until(|| open(&db, "r"), &read_of("datastore_file", &db))?;
    daemon.finish().map(drop)
}

/// Where the kubelet fetches its manifests from a server of the node.
fn manifests_over_http() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let kubelet = copy_to(&dir.path().join("kubelet"))?;
    let port = free_port()?;
    let rule = format!(
        "{{id: kubelet, targets: static_pod_manifest, access: connect, process: {{exe: {}}}}}",
        kubelet.display()
    );
    let mut daemon = Daemon::start(&policy(&format!("static_pod_manifest: {{ports: [{port}]}}"), &rule))?;
    let connect = ["tcp", "127.0.0.1", &port.to_string()];
    must(&kubelet, connect)?;
    daemon.silent_until(
        || act(connect),
        &json!({
            "action": "connect",
            "severity": "low",
            "rule": {"id": "static_pod_manifest.connect"},
            "target": {"class": "static_pod_manifest", "type": "inet_socket", "dst_port": port},
            "process": {"exe": program()?},
        }),
    )?;
    daemon.finish().map(drop)
}

fn no_manifests_and_no_port_is_a_gap() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let absent = paths("static_pod_manifest", &[&dir.path().join("absent")]);
    let present = paths("static_pod_manifest", &[dir.path()]);
    let both = absent.replace("paths", "ports: [1], paths");
    for (targets, gap) in [(&absent, true), (&present, false), (&both, false)] {
        let daemon = Daemon::fresh(&policy(targets, ""))?;
        let gaps = at(daemon.started(), "/lifecycle/coverage_gaps").to_string();
        ensure!(gaps.contains("staticPodURL") == gap, "{targets}: {gaps}");
        daemon.finish()?;
    }
    Ok(())
}

/// Doors inside doors, given in the order in which the outer one would win.
fn nearest_door_counts() -> Result<()> {
    let node = Node::new()?;
    let targets = [
        node.targets("kubelet_config", &["kubernetes", "kubernetes/*.conf.d/*"]),
        node.targets("credential", &["kubernetes/*.conf", "kubernetes/pki/**/*.key"]),
        node.targets("static_pod_manifest", &["kubernetes/manifests"]),
    ];
    fs::create_dir(node.path("kubernetes/kubelet.conf.d"))?;
    fs::write(node.path("kubernetes/kubelet.conf.d/10.conf"), "x")?;
    let mut daemon = Daemon::start(&policy(&targets.join(", "), ""))?;
    for (class, name) in [
        ("kubelet_config", "kubernetes"),
        ("kubelet_config", "kubernetes/README"),
        ("kubelet_config", "kubernetes/kubelet.conf.d/10.conf"),
        ("kubelet_config", "kubernetes/pki/ca.crt"),
        ("credential", "kubernetes/admin.conf"),
        ("credential", "kubernetes/pki/etcd/server.key"),
        ("static_pod_manifest", "kubernetes/manifests/etcd.yaml"),
    ] {
        node.read(name)?;
        expect(&daemon.alert()?, &read_of(class, &node.path(name)))?;
    }
    daemon.finish().map(drop)
}

/// The very first use of a directory that is made inside another door is its own.
fn door_inside_another_made_later() -> Result<()> {
    let node = Node::new()?;
    let manifests = node.path("kubernetes/manifests");
    fs::remove_dir_all(&manifests)?;
    let targets = [
        node.targets("credential", &["kubernetes/*.conf"]),
        node.targets("static_pod_manifest", &["kubernetes/manifests"]),
    ];
    let mut daemon = Daemon::start(&policy(&targets.join(", "), ""))?;
    fs::create_dir(&manifests)?;
    open(&manifests.join("evil.yaml"), "create")?;
    expect(
        &daemon.alert()?,
        &json!({
            "action": "create",
            "target": {"class": "static_pod_manifest", "path": manifests.join("evil.yaml")},
        }),
    )?;
    daemon.finish().map(drop)
}

/// A name inside a watched directory is the nearer door from the first moment.
fn file_inside_another_replaced_by_rename() -> Result<()> {
    let node = Node::new()?;
    let targets = [
        node.targets("kubelet_config", &["kubernetes"]),
        node.targets("credential", &["kubernetes/admin.conf"]),
    ];
    let mut daemon = Daemon::start(&policy(&targets.join(", "), ""))?;
    let (config, new) = (node.path("kubernetes/admin.conf"), node.path("new"));
    for _ in 0..20 {
        fs::write(&new, "x")?;
        fs::rename(&new, &config)?;
        open(&config, "r")?;
        expect(&daemon.alert()?, &read_of("credential", &config))?;
    }
    daemon.finish().map(drop)
}

fn pattern_below_a_symlink() -> Result<()> {
    let node = Node::new()?;
    symlink("kubernetes", node.path("link"))?;
    let targets = [
        node.targets("credential", &["link/*.conf"]),
        node.targets("static_pod_manifest", &["kubernetes/sub"]),
    ];
    let mut daemon = Daemon::start(&policy(&targets.join(", "), ""))?;
    node.read("kubernetes/README")?;
    node.read("kubernetes/admin.conf")?;
    expect(&daemon.alert()?, &read_of("credential", &node.path("link/admin.conf")))?;
    fs::create_dir(node.path("kubernetes/sub"))?;
    open(&node.path("kubernetes/sub/x.yaml"), "create")?;
    expect(&daemon.alert()?, &json!({"target": {"class": "static_pod_manifest"}}))?;
    daemon.finish().map(drop)
}
