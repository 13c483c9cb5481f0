//! Real containerd, real containers, real etcd.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use anyhow::{Result, ensure};
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

/// A container with the manifests mounted under another name.
fn container() -> Result<()> {
    let containerd = Containerd::start()?;
    let dir = tempfile::tempdir_in("/run")?;
    let (rootfs, watched) = (dir.path().join("rootfs"), dir.path().join("manifests"));
    for name in ["bin", "proc", "sys", "dev", "tmp", "innocent"] {
        fs::create_dir_all(rootfs.join(name))?;
    }
    fs::copy(which("busybox")?, rootfs.join("bin/busybox"))?;
    fs::set_permissions(rootfs.join("bin/busybox"), fs::Permissions::from_mode(0o755))?;
    symlink("busybox", rootfs.join("bin/sh"))?;
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
