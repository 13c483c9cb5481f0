//! A backend that was asked for by name: it works, or the daemon says why not. Never another one instead.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::json;

use super::trials;
use crate::actor::act;
use crate::daemon::{Daemon, command, manifests, policy};
use crate::event::{at, expect};

pub fn all() -> Vec<Trial> {
    trials("backends", &[("fentry", fentry), ("syscall_sees_every_door", syscall_sees_every_door)])
}

/// What the daemon chooses by itself says whether fentry attaches here.
fn fentry() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let daemon = Daemon::start(&manifests(dir.path(), ""))?;
    let chosen = at(daemon.started(), "/lifecycle/backend").as_str().context("no backend")?.to_owned();
    daemon.finish()?;
    if chosen == "fentry" {
        return sees_every_door("fentry");
    }
    let file = dir.path().join("policy.yaml");
    fs::write(&file, manifests(dir.path(), ""))?;
    let file = file.to_string_lossy();
    // A daemon that runs with fewer hooks instead is the failure; the duration only ends it.
    let output = command(&["run", "--backend", "fentry", "--duration", "1s", "--config", &file])?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(3), "{output:?}");
    ensure!(output.stdout.is_empty(), "{output:?}");
    for word in ["fentry", "security_ptrace_access_check"] {
        ensure!(stderr.contains(word), "no {word} in {stderr}");
    }
    Ok(())
}

/// The fallback works on kernels that can do better, too.
fn syscall_sees_every_door() -> Result<()> {
    sees_every_door("syscall")
}

fn sees_every_door(backend: &str) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (watched, socket) = (dir.path().join("manifests"), dir.path().join("runtime.sock"));
    fs::create_dir(&watched)?;
    let _runtime = UnixListener::bind(&socket)?;
    let (etcd, kubelet) = (TcpListener::bind(("127.0.0.1", 0))?, TcpListener::bind(("127.0.0.1", 0))?);
    let (etcd, kubelet) = (etcd.local_addr()?.port().to_string(), kubelet.local_addr()?.port().to_string());
    let targets = format!(
        "static_pod_manifest: {{paths: [{}]}}, runtime_api: {{sockets: [{}]}}, \
         datastore_api: {{ports: [{etcd}]}}, kubelet_api: {{ports: [{kubelet}]}}",
        watched.display(),
        socket.display(),
    );
    let mut daemon = Daemon::start_with(Some(&policy(&targets, "")), &["--backend", backend])?;
    expect(
        daemon.started(),
        &json!({"agent": {"backend": backend}, "lifecycle": {"backend": backend, "hooks_missing": []}}),
    )?;
    let (manifest, socket) =
        (watched.join("a.yaml").to_string_lossy().into_owned(), socket.to_string_lossy());
    for (class, action) in [
        ("static_pod_manifest", ["open", &manifest, "create"]),
        ("datastore_api", ["tcp", "127.0.0.1", &etcd]),
        ("kubelet_api", ["tcp", "127.0.0.1", &kubelet]),
    ] {
        act(action)?;
        expect(&daemon.alert()?, &json!({"target": {"class": class}}))?;
    }
    act(["unix", &socket])?;
    expect(&daemon.alert()?, &json!({"target": {"class": "runtime_api"}}))?;
    daemon.finish().map(drop)
}
