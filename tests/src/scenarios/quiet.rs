//! A node on an ordinary day: its own work is not worth a word, and what is done among it by others is told with all that is known.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use libtest_mimic::Trial;
use serde_json::json;

use super::containers::{ETCD, IMPOSTOR, Scene, process_of};
use super::trials;
use crate::actor::{copy_to, must};
use crate::daemon::{Daemon, paths, policy};
use crate::event::expect;
use crate::node::{Etcd, which};

pub fn all() -> Vec<Trial> {
    trials("quiet", &[("ordinary_work", ordinary_work)])
}

/// For how long by hand, in seconds.
const LONGER: &str = "BYPASSD_QUIET_SECONDS";

const ROUNDS: u32 = 4;

/// Who does the work of a node.
struct Node {
    scene: Scene,
    etcd: Etcd,
    kubelet: PathBuf,
    apiserver: PathBuf,
    intruder: PathBuf,
    config: PathBuf,
}

impl Node {
    fn new() -> Result<Self> {
        let (scene, etcd) = (Scene::new()?, Etcd::start()?);
        let at = |name| scene.path(name);
        // Called by a name that begins so, it does what its first argument says.
        let (kubelet, apiserver, config) =
            (at("busybox-kubelet"), at("kube-apiserver"), at("kubelet/config.yaml"));
        fs::copy(which("busybox")?, &kubelet)?;
        fs::copy(which("etcdctl")?, &apiserver)?;
        fs::create_dir(at("kubelet"))?;
        fs::write(&config, "kind: KubeletConfiguration\n")?;
        let intruder = copy_to(&at("intruder"))?;
        Ok(Self { kubelet, apiserver, config, intruder, etcd, scene })
    }

    fn policy(&self) -> Result<String> {
        let socket = self.scene.socket();
        let targets = [
            paths("static_pod_manifest", &[self.scene.watched()]),
            paths("kubelet_config", &[&self.config]),
            paths("datastore_file", &[&self.etcd.data()]),
            format!("runtime_api: {{sockets: [{0}, {0}.ttrpc, /run/containerd/s/*]}}", socket.display()),
            format!("datastore_api: {{ports: [{}]}}", self.etcd.port),
        ];
        let rule = |id: &str, targets: &str, exes: &[PathBuf]| {
            let exes: Vec<_> = exes.iter().map(|exe| exe.display().to_string()).collect();
            format!("{{id: {id}, targets: [{targets}], process: {{exe: [{}], uid: 0}}}}", exes.join(", "))
        };
        let runtime = [which("containerd")?, which("containerd-shim-runc-v2")?];
        let rules = [
            rule("kubelet", "static_pod_manifest, kubelet_config", std::slice::from_ref(&self.kubelet)),
            rule("client", "runtime_api", &[which("ctr")?]),
            rule("runtime", "runtime_api", &runtime),
            rule("apiserver", "datastore_api", std::slice::from_ref(&self.apiserver)),
            rule("etcd", "datastore_api, datastore_file", &[which("etcd")?]),
        ];
        Ok(policy(&targets.join(", "), &rules.join(", ")))
    }

    /// A container comes and goes, the datastore is written to, manifests are read and the configuration is written anew.
    fn work(&self, round: u32) -> Result<()> {
        self.scene.run_in(&ETCD, "busybox true")?;
        let endpoint = format!("--endpoints=http://127.0.0.1:{}", self.etcd.port);
        must(&self.apiserver, [&*endpoint, "put", "/registry/leases/node", &round.to_string()])?;
        let new = self.config.with_extension("new");
        let [new, config, manifest] =
            [&new, &self.config, &self.scene.manifest].map(|path| path.to_string_lossy());
        must(&self.kubelet, ["cp", &config, &new])?;
        must(&self.kubelet, ["mv", &new, &config])?;
        must(&self.kubelet, ["cat", &manifest])
    }

    /// A pod puts a manifest on the node, and somebody asks the datastore himself.
    fn attack(&self, round: u32, daemon: &mut Daemon) -> Result<()> {
        let name = format!("evil-{round}.yaml");
        self.scene.run_in(&IMPOSTOR, &format!("echo kind: Pod >/watched/{name}"))?;
        let path = self.scene.watched().join(&name);
        expect(
            &daemon.alert()?,
            &json!({
                "action": "create",
                "severity": "critical",
                "verdict": {"reason": "exe_mismatch"},
                "target": {"class": "static_pod_manifest", "path": path, "path_seen": format!("/watched/{name}")},
                "process": process_of(&IMPOSTOR),
            }),
        )?;
        must(&self.intruder, ["tcp", "127.0.0.1", &self.etcd.port.to_string()])?;
        let process = json!({"exe": self.intruder, "parent": {"pid": std::process::id()}, "container": null});
        let target = json!({"class": "datastore_api", "dst_port": self.etcd.port});
        expect(&daemon.alert()?, &json!({"action": "connect", "target": target, "process": process}))?;
        must(&self.kubelet, ["rm", &path.to_string_lossy()])
    }
}

fn ordinary_work() -> Result<()> {
    let mut node = Node::new()?;
    let mut daemon = Daemon::start(&node.policy()?)?;
    let longer = std::env::var(LONGER).ok().and_then(|seconds| seconds.parse().ok());
    let until = Instant::now() + Duration::from_secs(longer.unwrap_or(0));
    let mut round = 0;
    while round < ROUNDS || Instant::now() < until {
        node.work(round)?;
        match round % 4 {
            1 => node.attack(round, &mut daemon)?,
            3 => node.scene.restart()?,
            _ => {}
        }
        round += 1;
    }
    if longer.is_some() {
        eprintln!("quiet: {round} rounds");
    }
    // Any other alert would be one that nobody expected.
    daemon.finish().map(drop)
}
