//! Real containerd, real containers, real etcd.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{own_exe, trials};
use crate::actor::{act, must, program};
use crate::daemon::{Daemon, manifests, policy, socket};
use crate::event::{at, expect};
use crate::node::{Containerd, Etcd, which};

pub fn all() -> Vec<Trial> {
    trials(
        "real",
        &[
            ("containerd", containerd),
            ("containerd_restarted", containerd_restarted),
            ("containerd_allowed", containerd_allowed),
            ("shim", shim),
            ("container", container),
            ("etcd", etcd),
        ],
    )
}

fn containerd() -> Result<()> {
    let containerd = Containerd::start()?;
    let mut daemon = Daemon::start(&socket(&containerd.socket(), ""))?;
    containerd.ctr(&["version"])?;
    let ctr = which("ctr")?;
    expect(
        &daemon.alert()?,
        &json!({
            "target": {"class": "runtime_api", "path": containerd.socket()},
            "process": {
                "exe": ctr,
                "args": [ctr, "--address", containerd.socket(), "version"],
                "parent": {"exe": own_exe()?},
            },
        }),
    )?;
    daemon.finish().map(drop)
}

fn containerd_restarted() -> Result<()> {
    let mut containerd = Containerd::start()?;
    // It makes its socket anew and sets who can use it.
    let exe = which("containerd")?;
    let rule = format!(
        "{{id: containerd, targets: runtime_api, access: write, process: {{exe: {}}}}}",
        exe.display()
    );
    let mut daemon = Daemon::start(&socket(&containerd.socket(), &rule))?;
    for _ in 0..2 {
        containerd.restart()?;
        containerd.ctr(&["version"])?;
        expect(
            &daemon.alert()?,
            &json!({"target": {"path": containerd.socket()}, "process": {"exe": which("ctr")?}}),
        )?;
    }
    daemon.finish().map(drop)
}

fn containerd_allowed() -> Result<()> {
    let containerd = Containerd::start()?;
    let rule = format!("{{id: ctr, targets: runtime_api, process: {{exe: {}}}}}", which("ctr")?.display());
    let mut daemon = Daemon::start(&socket(&containerd.socket(), &rule))?;
    containerd.ctr(&["version"])?;
    let marker = ["unix".to_owned(), containerd.socket().to_string_lossy().into_owned()];
    daemon.silent_until(|| act(&marker), &json!({"process": {"exe": program()?}}))?;
    daemon.finish().map(drop)
}

/// A container comes and goes unseen; who talks to its shim is seen.
fn shim() -> Result<()> {
    let containerd = Containerd::start()?;
    let exes = [which("containerd")?, which("containerd-shim-runc-v2")?];
    let exes: Vec<_> = exes.iter().map(|exe| exe.display().to_string()).collect();
    let rule = format!("{{id: runtime, targets: runtime_api, process: {{exe: [{}]}}}}", exes.join(", "));
    let sockets = format!("runtime_api: {{sockets: [{SHIMS}/*, {}.ttrpc]}}", containerd.socket().display());
    let before = shims();
    let mut daemon = Daemon::start(&policy(&sockets, &rule))?;
    let dir = tempfile::tempdir_in("/run")?;
    let rootfs = dir.path().join("rootfs");
    busybox(&rootfs)?;
    let rootfs = rootfs.to_string_lossy();
    // The runtime keeps its state at one place, whatever containerd asks.
    let id = format!("sleeper-{}", std::process::id());
    containerd.ctr(&["run", "-d", "--rootfs", &rootfs, &id, "/bin/sh", "-c", "sleep 600"])?;
    let new: Vec<_> = shims().difference(&before).cloned().collect();
    let socket = new.first().context("the container has no shim socket")?;
    let marker = || act(&["unix".to_owned(), socket.to_string_lossy().into_owned()]);
    let target = json!({"class": "runtime_api", "type": "unix_socket", "path": socket});
    daemon.silent_until(marker, &json!({"target": target, "process": {"exe": program()?}}))?;
    // containerd's other socket, which its shims talk to.
    let ttrpc = format!("{}.ttrpc", containerd.socket().display());
    act(["unix", &ttrpc])?;
    expect(
        &daemon.alert()?,
        &json!({"target": {"class": "runtime_api", "path": ttrpc}, "process": {"exe": program()?}}),
    )?;
    containerd.ctr(&["task", "rm", "-f", &id])?;
    daemon.finish().map(drop)
}

/// Where containerd has the sockets of its shims, whatever its configuration.
const SHIMS: &str = "/run/containerd/s";

fn shims() -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(SHIMS).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).collect()
}

/// A root directory with a shell.
fn busybox(rootfs: &Path) -> Result<()> {
    for name in ["bin", "proc", "sys", "dev", "tmp"] {
        fs::create_dir_all(rootfs.join(name))?;
    }
    fs::copy(which("busybox")?, rootfs.join("bin/busybox"))?;
    fs::set_permissions(rootfs.join("bin/busybox"), fs::Permissions::from_mode(0o755))?;
    Ok(symlink("busybox", rootfs.join("bin/sh"))?)
}

/// A container with the manifests mounted under another name.
fn container() -> Result<()> {
    let containerd = Containerd::start()?;
    let dir = tempfile::tempdir_in("/run")?;
    let (rootfs, watched) = (dir.path().join("rootfs"), dir.path().join("manifests"));
    busybox(&rootfs)?;
    fs::create_dir(rootfs.join("innocent"))?;
    fs::create_dir(&watched)?;
    fs::write(watched.join("etcd.yaml"), "kind: Pod\n")?;
    let mut daemon = Daemon::start(&manifests(&watched, ""))?;
    let mount = format!("type=bind,src={},dst=/innocent,options=rbind:rw", watched.display());
    let script = "busybox cat /innocent/etcd.yaml && echo kind: Pod > /innocent/evil.yaml";
    let rootfs = rootfs.to_string_lossy();
    containerd.ctr(&[
        "-n", "k8s.io", "run", "--rm", "--rootfs", "--mount", &mount, &rootfs, "intruder", "/bin/sh", "-c",
        script,
    ])?;
    let process = |exe: &str| json!({"exe": exe, "host_ns": {"mnt": false, "pid": false, "net": false}});
    let read = daemon.alert()?;
    expect(
        &read,
        &json!({
            "action": "open",
            "severity": "medium",
            "target": {"path": watched.join("etcd.yaml"), "path_seen": "/innocent/etcd.yaml"},
            "process": process("/bin/busybox"),
        }),
    )?;
    expect(
        &daemon.alert()?,
        &json!({
            "action": "create",
            "severity": "critical",
            "target": {"path": watched.join("evil.yaml"), "path_seen": "/innocent/evil.yaml"},
            "process": process("/bin/busybox"),
        }),
    )?;
    let cgroup = at(&read, "/process/cgroup").as_str().unwrap_or_default();
    ensure!(cgroup.contains("intruder"), "cgroup {cgroup}");
    daemon.finish().map(drop)
}

fn etcd() -> Result<()> {
    let etcd = Etcd::start()?;
    let rule =
        format!("{{id: etcd, targets: datastore_api, process: {{exe: {}}}}}", which("etcd")?.display());
    let mut daemon = Daemon::start(&policy(&format!("datastore_api: {{ports: [{}]}}", etcd.port), &rule))?;
    let etcdctl = which("etcdctl")?;
    let endpoint = format!("--endpoints=http://127.0.0.1:{}", etcd.port);
    must(&etcdctl, [&endpoint, "put", "/registry/secrets/x", "y"])?;
    expect(
        &daemon.alert()?,
        &json!({
            "target": {"class": "datastore_api", "dst_ip": "127.0.0.1", "dst_port": etcd.port},
            "process": {"exe": etcdctl, "args": [etcdctl, endpoint, "put", "/registry/secrets/x", "y"]},
        }),
    )?;
    // A client may open more than one connection, so each of the others is found by its own arguments.
    for words in [&["get", "--prefix", "/registry"][..], &["endpoint", "health"]] {
        must(&etcdctl, [&*endpoint].iter().chain(words))?;
        let own = [etcdctl.to_string_lossy().into_owned(), endpoint.clone()];
        let args: Vec<_> = own.iter().map(String::as_str).chain(words.iter().copied()).collect();
        let args = json!(args);
        daemon.wait_for("etcdctl's connect", |event| at(event, "/process/args") == &args)?;
    }
    let (status, events) = daemon.stop(Signal::TERM)?;
    ensure!(status.success(), "the daemon ended with {status}");
    let stranger = |event: &&Value| event["kind"] == "alert" && event["process"]["exe"] != json!(etcdctl);
    ensure!(!events.iter().any(|event| stranger(&event)), "not only etcdctl: {events:#?}");
    Ok(())
}
