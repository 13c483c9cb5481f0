//! A backend that was asked for by name: it works, or the daemon says why not. Never another one instead.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use aya::maps::{Array, HashMap};
use libtest_mimic::Trial;
use serde_json::json;

use super::{Skip, operations, trials};
use crate::actor::{self, act};
use crate::daemon::{Daemon, command, manifests, policy, program};
use crate::daemonset::{DaemonSet, mask};
use crate::event::{at, expect};
use crate::node::{is_guest, wait_until};
use crate::tables;

pub fn all() -> Vec<Trial> {
    trials(
        "backends",
        &[
            ("fentry", fentry),
            ("kprobe", kprobe),
            ("syscall_sees_every_door", syscall_sees_every_door),
            ("blind", blind),
            ("emptied", emptied),
            ("frozen", frozen),
        ],
    )
}

/// Every guest's kernel has it; elsewhere what the daemon chooses by itself says whether it attaches.
fn fentry() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let daemon = Daemon::fresh(&manifests(dir.path(), ""))?;
    let chosen = at(daemon.started(), "/lifecycle/backend").as_str().context("no backend")?.to_owned();
    daemon.finish()?;
    if chosen == "fentry" || is_guest() {
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

/// Every guest's kernel has kprobes; where there are none, the daemon says so.
fn kprobe() -> Result<()> {
    if is_guest() {
        return sees_every_door("kprobe");
    }
    let output = command(&["run", "--backend", "kprobe", "--duration", "1s"])?;
    ensure!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    Ok(())
}

/// Someone switches the hooks off behind the daemon's back.
fn blind() -> Result<()> {
    let switch = Path::new("/sys/kernel/debug/kprobes/enabled");
    if !switch.exists() {
        bail!(Skip("the kernel has no kprobes"));
    }
    let dir = tempfile::tempdir()?;
    let mut daemon = Daemon::start_with(Some(&manifests(dir.path(), "")), &["--backend", "kprobe"])?;
    fs::write(switch, "0")?;
    let blind = daemon.wait_for("the report", |event| at(event, "/health/state") == "blind");
    fs::write(switch, "1")?;
    let blind = blind?;
    expect(&blind, &json!({"kind": "health", "severity": "critical"}))?;
    let missing = at(&blind, "/health/missing").to_string();
    ensure!(missing.contains("opened files") && missing.contains("unix connects"), "{blind:#}");
    ensure!(missing.contains("TCP"), "{blind:#}");
    daemon.wait_for("the recovery", |event| at(event, "/health/state") == "recovered")?;
    act(["open", &dir.path().join("a.yaml").to_string_lossy(), "create"])?;
    expect(&daemon.alert()?, &json!({"action": "create"}))?;
    daemon.finish().map(drop)
}

/// Someone removes from the kernel's table what is watched, as `bpftool map delete` does.
fn emptied() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let others: BTreeSet<_> = tables::named("OBJECTS").into_iter().collect();
    let (mut daemon, address) = operations::served(&manifests(dir.path(), ""))?;
    wait_until("the daemon to be ready", || operations::is_ready(address))?;
    let own = tables::named("OBJECTS")
        .into_iter()
        .find(|id| !others.contains(id))
        .context("the daemon has no table")?;
    let mut table = HashMap::<_, tables::Key, tables::Value>::try_from(tables::open(own)?)?;
    let keys: Vec<tables::Key> = table.keys().collect::<Result<_, _>>()?;
    ensure!(!keys.is_empty(), "nothing is watched");
    for key in &keys {
        table.remove(key)?;
    }
    let blind = daemon.wait_for("the report", |event| at(event, "/health/state") == "blind")?;
    ensure!(at(&blind, "/health/missing").to_string().contains("objects that someone removed"), "{blind:#}");
    let answer = operations::get(address, "/readyz")?;
    ensure!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    act(["open", &dir.path().join("a.yaml").to_string_lossy(), "create"])?;
    expect(&daemon.alert()?, &json!({"action": "create"}))?;
    daemon.wait_for("the recovery", |event| at(event, "/health/state") == "recovered")?;
    daemon.finish().map(drop)
}

/// Nobody can have himself taken for the daemon, or answer in its place.
fn frozen() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let others: BTreeSet<_> = tables::named("OWN").into_iter().collect();
    let daemon = Daemon::fresh(&manifests(dir.path(), ""))?;
    let own = tables::named("OWN")
        .into_iter()
        .find(|id| !others.contains(id))
        .context("the daemon has no table")?;
    let mut table = Array::<_, [u64; 6]>::try_from(tables::open(own)?)?;
    let value = table.get(&0, 0)?;
    ensure!(table.set(0, value, 0).is_err(), "it can be written to");
    daemon.finish().map(drop)
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
    let mut daemon = as_shipped(backend, &policy(&targets, ""))?;
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

/// With the capabilities that the DaemonSet gives, and none besides: for `fentry` they are enough on every kernel.
fn as_shipped(backend: &str, policy: &str) -> Result<Daemon> {
    let daemon_set = DaemonSet::shipped()?;
    let given = daemon_set.container()?.security_context.capabilities.add.iter().map(String::as_str);
    // fanotify wants one more, and so do kprobes where perf_event_paranoid is 3, as on Debian.
    let mask = mask(given.chain((backend != "fentry").then_some("SYS_ADMIN")))?;
    let files = tempfile::tempdir()?;
    let file = files.path().join("policy.yaml");
    fs::write(&file, policy)?;
    let mut command = Command::new(actor::program()?);
    command.args(["with-capabilities", &format!("{mask:x}")]).arg(program()?);
    command.args(["run", "--format", "native", "--backend", backend, "--config"]).arg(file);
    let daemon = Daemon::start_by(command, files)?;
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid()))?;
    let held = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("CapEff:\t")?, 16).ok());
    // A machine may lack one of them itself.
    ensure!(held.is_some_and(|held| held & !mask == 0), "{status}");
    Ok(daemon)
}
