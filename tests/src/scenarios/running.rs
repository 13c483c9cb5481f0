//! What runs says where the doors are.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::trials;
use crate::actor::{act, copy_to, must};
use crate::daemon::{Daemon, command};
use crate::event::{at, expect};
use crate::node::{Containerd, Etcd, which};

pub fn all() -> Vec<Trial> {
    trials(
        "running",
        &[
            ("kubelet", kubelet),
            ("served_manifests", served_manifests),
            ("effective", effective),
            ("strangers", strangers),
            ("etcd", etcd),
            ("containerd", containerd),
            ("not_wanted", not_wanted),
        ],
    )
}

const POLICY: &str = "version: 1\nprofile: kubeadm\n";

/// A process that does nothing, but is called like a part of Kubernetes.
pub(super) struct StandIn(Child);

impl StandIn {
    pub(super) fn start(program: &Path, flags: &[String]) -> Result<Self> {
        Self::spawn(Command::new(program).arg("sleep").args(flags))
    }

    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }

    fn spawn(command: &mut Command) -> Result<Self> {
        Ok(Self(command.stdin(Stdio::piped()).spawn()?))
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// Whether the event tells of a target that was found.
fn tells(event: &Value, target: &Path) -> bool {
    let targets = at(event, "/lifecycle/targets").as_array();
    targets.is_some_and(|targets| targets.iter().any(|found| found["target"] == json!(target)))
}

fn found(daemon: &mut Daemon, target: &Path) -> Result<Value> {
    daemon.wait_for(&format!("{} to be found", target.display()), |event| {
        at(event, "/lifecycle/state") == "targets_found" && tells(event, target)
    })
}

fn is_seen(daemon: &mut Daemon, path: &Path, class: &str) -> Result<()> {
    act(["open", &path.to_string_lossy(), "r"])?;
    let alert = daemon.wait_for("the alert", |event| at(event, "/target/path") == &json!(path))?;
    expect(&alert, &json!({"kind": "alert", "target": {"class": class}}))
}

/// Its manifests are elsewhere than the profile's; after it was started anew, elsewhere again. All of them are watched.
fn kubelet() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let program = copy_to(&dir.path().join("kubelet"))?;
    let [first, second, third] = ["first", "second", "third"].map(|name| dir.path().join(name));
    for place in [&first, &second, &third] {
        fs::create_dir(place)?;
        fs::write(place.join("etcd.yaml"), "kind: Pod\n")?;
    }
    let config = dir.path().join("config.yaml");
    let pods = |place: &PathBuf| format!("kind: KubeletConfiguration\nstaticPodPath: {}\n", place.display());
    fs::write(&config, pods(&first))?;
    let running = StandIn::start(&program, &[format!("--config={}", config.display())])?;
    let mut daemon = Daemon::fresh(POLICY)?;
    // The start waits for the first look, but not for ever.
    let told = found(&mut daemon, &first)?;
    let from = format!("kubelet[{}], staticPodPath in {}", running.0.id(), config.display());
    let of_first = told["lifecycle"]["targets"].as_array().into_iter().flatten();
    ensure!(of_first.into_iter().any(|found| found["from"] == json!(from)), "{told:#}");
    is_seen(&mut daemon, &first.join("etcd.yaml"), "static_pod_manifest")?;
    is_seen(&mut daemon, &config, "kubelet_config")?;
    drop(running);
    fs::write(&config, pods(&second))?;
    let flag = format!("--pod-manifest-path={}", third.display());
    let _running = StandIn::start(&program, &[format!("--config={}", config.display()), flag])?;
    found(&mut daemon, &third)?;
    is_seen(&mut daemon, &third.join("etcd.yaml"), "static_pod_manifest")?;
    is_seen(&mut daemon, &first.join("etcd.yaml"), "static_pod_manifest")?;
    let (status, events) = daemon.stop(Signal::TERM)?;
    ensure!(status.success(), "the daemon ended with {status}");
    ensure!(!events.iter().any(|event| tells(event, &second)), "the flag goes over the file");
    Ok(())
}

/// Its pods come from a server on the node, whose port is a door then.
fn served_manifests() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let program = copy_to(&dir.path().join("kubelet"))?;
    let server = TcpListener::bind(("127.0.0.1", 0))?;
    let port = server.local_addr()?.port();
    let _running = StandIn::start(&program, &[format!("--manifest-url=http://127.0.0.1:{port}/pods")])?;
    let mut daemon = Daemon::fresh(POLICY)?;
    found(&mut daemon, Path::new(&format!("tcp/{port}")))?;
    act(["tcp", "127.0.0.1", &port.to_string()])?;
    let alert = daemon.wait_for("the connect", |event| at(event, "/target/dst_port") == port)?;
    expect(&alert, &json!({"kind": "alert", "target": {"class": "static_pod_manifest"}}))?;
    daemon.stop(Signal::TERM).map(drop)
}

/// The policy in force can be looked at, with where each line is from, and loaded.
fn effective() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (program, place) = (copy_to(&dir.path().join("kubelet"))?, dir.path().join("pods"));
    fs::create_dir(&place)?;
    let running = StandIn::start(&program, &[format!("--pod-manifest-path={}", place.display())])?;
    let policy = dir.path().join("policy.yaml");
    fs::write(&policy, POLICY)?;
    let show = |more: &[&str]| -> Result<String> {
        let output = command(&[&["config", "show", "--config", &policy.to_string_lossy()], more].concat())?;
        ensure!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    };
    let place = place.to_string_lossy();
    let shown = show(&["--effective"])?;
    let line = shown.lines().find(|line| line.contains(&*place)).unwrap_or_default();
    let from = format!("kubelet[{}], --pod-manifest-path", running.0.id());
    ensure!(line.contains(&from), "no {from} beside {place} in {shown}");
    ensure!(!show(&[])?.contains(&*place), "it is not part of the policy");
    fs::write(&policy, &shown)?;
    let output = command(&["config", "validate", &policy.to_string_lossy()])?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Who has no power over the node cannot make the daemon watch anything by taking a name.
fn strangers() -> Result<()> {
    let dir = tempfile::tempdir()?;
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
    let program = copy_to(&dir.path().join("kubelet"))?;
    let [of_nobody, of_container, real] = ["nobody", "container", "real"].map(|name| dir.path().join(name));
    let flag = |place: &Path| format!("--pod-manifest-path={}", place.display());
    for place in [&of_nobody, &of_container, &real] {
        fs::create_dir(place)?;
    }
    let mut command = Command::new(&program);
    let _nobody = StandIn::spawn(command.arg("sleep").arg(flag(&of_nobody)).uid(65534).gid(65534))?;
    let mut command = Command::new("unshare");
    let own = command.args(["--pid", "--fork", "--kill-child"]).arg(&program);
    let _contained = StandIn::spawn(own.arg("sleep").arg(flag(&of_container)))?;
    let mut daemon = Daemon::fresh(POLICY)?;
    let _real = StandIn::start(&program, &[flag(&real)])?;
    found(&mut daemon, &real)?;
    let (_, events) = daemon.stop(Signal::TERM)?;
    for place in [&of_nobody, &of_container] {
        ensure!(!events.iter().any(|event| tells(event, place)), "{} was found", place.display());
    }
    Ok(())
}

/// Other ports and another directory than is usual.
fn etcd() -> Result<()> {
    let etcd = Etcd::start()?;
    let mut daemon = Daemon::fresh(POLICY)?;
    found(&mut daemon, &etcd.data())?;
    found(&mut daemon, Path::new(&format!("tcp/{}", etcd.port)))?;
    is_seen(&mut daemon, &etcd.data().join("member/snap/db"), "datastore_file")?;
    let (etcdctl, endpoint) = (which("etcdctl")?, format!("--endpoints=http://127.0.0.1:{}", etcd.port));
    must(&etcdctl, [&endpoint, "get", "x"])?;
    let target = json!({"class": "datastore_api", "dst_port": etcd.port});
    let connects =
        |event: &Value| at(event, "/process/exe") == &json!(etcdctl) && at(event, "/action") == "connect";
    expect(&daemon.wait_for("the connect", connects)?, &json!({"kind": "alert", "target": target}))?;
    daemon.stop(Signal::TERM).map(drop)
}

/// A socket at the place that its configuration names.
fn containerd() -> Result<()> {
    let containerd = Containerd::start()?;
    let mut daemon = Daemon::fresh(POLICY)?;
    found(&mut daemon, &containerd.socket())?;
    containerd.ctr(&["version"])?;
    let ctr = which("ctr")?;
    let connects = |event: &Value| {
        at(event, "/process/exe") == &json!(ctr) && at(event, "/target/path") == &json!(containerd.socket())
    };
    let alert = daemon.wait_for("the connect", connects)?;
    expect(&alert, &json!({"kind": "alert", "target": {"class": "runtime_api"}}))?;
    daemon.stop(Signal::TERM).map(drop)
}

/// The policy may say that only its own targets count.
fn not_wanted() -> Result<()> {
    let etcd = Etcd::start()?;
    for policy in ["version: 1\nprofile: kubeadm\ndiscover: false\n", "version: 1\nprofile: none\n"] {
        let daemon = Daemon::fresh(policy)?;
        let (_, events) = daemon.stop(Signal::TERM)?;
        ensure!(!events.iter().any(|event| tells(event, &etcd.data())), "{policy}");
    }
    Ok(())
}
