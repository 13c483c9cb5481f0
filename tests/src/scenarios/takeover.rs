//! Doors that were opened by one process and are used by another.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::trials;
use crate::actor::{act, copy_to, must, program};
use crate::daemon::{Daemon, manifests, policy, socket};
use crate::event::{at, expect};

pub fn all() -> Vec<Trial> {
    trials(
        "takeover",
        &[
            ("file_handed_over", file_handed_over),
            ("socket_handed_over", socket_handed_over),
            ("connection_handed_over", connection_handed_over),
            ("socket_stolen", socket_stolen),
            ("allowed_process_controlled", allowed_process_controlled),
            ("allowed_process_started_under_control", allowed_process_started_under_control),
            ("allowed_process_becomes_another", allowed_process_becomes_another),
            ("allowed_process_controlled_later", allowed_process_controlled_later),
            ("connection_stolen", connection_stolen),
        ],
    )
}

fn sees(daemon: &Daemon) -> bool {
    at(daemon.started(), "/lifecycle/backend") != "syscall"
}

/// The one who opened it is reported, and then the one who was given it.
fn handed(mut daemon: Daemon, args: [&str; 3], target: &Value, first: &str) -> Result<()> {
    let expected = if args[0] == "hand" { "receive" } else { "steal" };
    act(args)?;
    expect(
        &daemon.alert()?,
        &json!({"action": first, "target": target, "process": {"args": [program()?, args[0], args[1], args[2]]}}),
    )?;
    if sees(&daemon) {
        let alert = daemon.alert()?;
        expect(&alert, &json!({"action": "receive", "target": target, "process": {"exe": program()?}}))?;
        ensure!(at(&alert, "/process/args/1") == expected, "{alert:#}");
    }
    daemon.finish().map(drop)
}

fn file_handed_over() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("etcd.yaml");
    fs::write(&path, "kind: Pod\n")?;
    let daemon = Daemon::start(&manifests(dir.path(), ""))?;
    handed(
        daemon,
        ["hand", "file", &path.to_string_lossy()],
        &json!({"class": "static_pod_manifest", "path": path}),
        "open",
    )
}

fn socket_handed_over() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("runtime.sock");
    let _listener = UnixListener::bind(&path)?;
    let daemon = Daemon::start(&socket(&path, ""))?;
    handed(
        daemon,
        ["hand", "unix", &path.to_string_lossy()],
        &json!({"class": "runtime_api", "path": path}),
        "connect",
    )
}

fn socket_stolen() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("runtime.sock");
    let _listener = UnixListener::bind(&path)?;
    let daemon = Daemon::start(&socket(&path, ""))?;
    handed(
        daemon,
        ["lose", "unix", &path.to_string_lossy()],
        &json!({"class": "runtime_api", "path": path}),
        "connect",
    )
}

fn connection_stolen() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let daemon = Daemon::start(&policy(&format!("datastore_api: {{ports: [{}]}}", address.port()), ""))?;
    let target = json!({"class": "datastore_api", "dst_port": address.port()});
    handed(daemon, ["lose", "tcp", &address.to_string()], &target, "connect")
}

fn connection_handed_over() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let daemon = Daemon::start(&policy(&format!("datastore_api: {{ports: [{}]}}", address.port()), ""))?;
    let target = json!({"class": "datastore_api", "dst_port": address.port()});
    handed(daemon, ["hand", "tcp", &address.to_string()], &target, "connect")
}

fn allowed_process_controlled() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (watched, allowed) = (dir.path().join("manifests"), copy_to(&dir.path().join("kubelet"))?);
    fs::create_dir(&watched)?;
    let rule =
        format!("{{id: kubelet, targets: static_pod_manifest, process: {{exe: {}}}}}", allowed.display());
    let mut daemon = Daemon::start(&manifests(&watched, &rule))?;
    let mut victim = Command::new(&allowed).arg("sleep").stdin(Stdio::piped()).spawn()?;
    act(["control", &victim.id().to_string()])?;
    if sees(&daemon) {
        expect(
            &daemon.alert()?,
            &json!({
                "action": "ptrace",
                "verdict": {"reason": "process_controlled"},
                "target": {"class": "static_pod_manifest", "type": "process", "pid": victim.id(), "exe": allowed},
                "process": {"exe": program()?, "args": [program()?, "control", victim.id().to_string()]},
            }),
        )?;
    }
    drop(victim.stdin.take());
    victim.wait()?;
    daemon.finish().map(drop)
}

/// Whoever starts an allowed program in order to control it is no better.
fn allowed_process_started_under_control() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (watched, allowed) = (dir.path().join("manifests"), copy_to(&dir.path().join("kubelet"))?);
    fs::create_dir(&watched)?;
    let manifest = watched.join("etcd.yaml");
    fs::write(&manifest, "kind: Pod\n")?;
    let rule =
        format!("{{id: kubelet, targets: static_pod_manifest, process: {{exe: {}}}}}", allowed.display());
    let mut daemon = Daemon::start(&manifests(&watched, &rule))?;
    must(&allowed, ["open", &manifest.to_string_lossy(), "r"])?;
    must(&allowed, ["traced", "open", &manifest.to_string_lossy(), "r"])?;
    expect(
        &daemon.alert()?,
        &json!({"action": "open", "verdict": {"reason": "process_controlled"}, "target": {"path": manifest}}),
    )?;
    daemon.finish().map(drop)
}

/// What another program does a moment later with the same process is no repetition.
fn allowed_process_becomes_another() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (watched, allowed) = (dir.path().join("manifests"), copy_to(&dir.path().join("kubelet"))?);
    fs::create_dir(&watched)?;
    let manifest = watched.join("etcd.yaml");
    fs::write(&manifest, "kind: Pod\n")?;
    let rule =
        format!("{{id: kubelet, targets: static_pod_manifest, process: {{exe: {}}}}}", allowed.display());
    let mut daemon = Daemon::start(&manifests(&watched, &rule))?;
    let (path, other) = (manifest.to_string_lossy(), program()?);
    must(&allowed, ["then", &path, &other.to_string_lossy(), "open", &path, "r"])?;
    expect(
        &daemon.alert()?,
        &json!({"action": "open", "target": {"path": manifest}, "process": {"exe": other}}),
    )?;
    daemon.finish().map(drop)
}

/// Nor is what it does once another has control of it.
fn allowed_process_controlled_later() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (watched, allowed) = (dir.path().join("manifests"), copy_to(&dir.path().join("kubelet"))?);
    fs::create_dir(&watched)?;
    let manifest = watched.join("etcd.yaml");
    fs::write(&manifest, "kind: Pod\n")?;
    let rule =
        format!("{{id: kubelet, targets: static_pod_manifest, process: {{exe: {}}}}}", allowed.display());
    let mut daemon = Daemon::start(&manifests(&watched, &rule))?;
    must(&allowed, ["twice", &manifest.to_string_lossy()])?;
    expect(
        &daemon.alert()?,
        &json!({"action": "open", "verdict": {"reason": "process_controlled"}, "target": {"path": manifest}}),
    )?;
    daemon.finish().map(drop)
}
