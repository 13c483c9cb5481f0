//! A node on an ordinary day: its own work is not worth a word, and what is done among it by others is told with all that is known.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use libtest_mimic::Trial;
use serde_json::json;

use super::containers::{ETCD, IMPOSTOR, Pod, Scene, process_of};
use super::trials;
use crate::actor::{copy_to, must};
use crate::daemon::Daemon;
use crate::event::expect;
use crate::node::{etcd_flags, free_port, wait_until, which};

pub fn all() -> Vec<Trial> {
    trials("quiet", &[("ordinary_work", ordinary_work)])
}

/// For how long by hand, in seconds.
const LONGER: &str = "BYPASSD_QUIET_SECONDS";

const ROUNDS: u32 = 4;

/// As kubeadm runs it.
const APISERVER: Pod = Pod {
    id: "apiserver-1",
    name: "kube-apiserver-node1",
    uid: "2f6b3a1c9d8e4f705b6c7d8e9f0a1b2c",
    container: "kube-apiserver",
    image: "registry.k8s.io/kube-apiserver:v1.31.2",
    ..ETCD
};

/// Who does the work of a node.
struct Node {
    scene: Scene,
    port: u16,
    data: PathBuf,
    kubelet: PathBuf,
    intruder: PathBuf,
    config: PathBuf,
}

impl Node {
    fn new() -> Result<Self> {
        let scene = Scene::new()?;
        let at = |name| scene.path(name);
        // Called by a name that begins so, it does what its first argument says.
        let (kubelet, data) = (at("busybox-kubelet"), at("etcd"));
        let config = at("kubelet/config.yaml");
        fs::copy(which("busybox")?, &kubelet)?;
        fs::create_dir(at("kubelet"))?;
        fs::create_dir(&data)?;
        fs::write(&config, "kind: KubeletConfiguration\n")?;
        let intruder = copy_to(&at("intruder"))?;
        Ok(Self { kubelet, config, intruder, port: free_port()?, data, scene })
    }

    /// kubeadm's profile with the places that this node has, and whoever kubeadm does not know of.
    fn policy(&self) -> Result<String> {
        let socket = self.scene.socket();
        let paths = |paths: &[&Path]| {
            let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
            paths.join(", ")
        };
        let rule = |id: &str, targets: &str, exes: &[&Path]| {
            format!("  - {{id: {id}, targets: [{targets}], process: {{exe: [{}], uid: 0}}}}\n", paths(exes))
        };
        // A guest has them elsewhere.
        let runtime = [which("containerd")?, which("containerd-shim-runc-v2")?];
        let [containerd, shim] = runtime.each_ref().map(PathBuf::as_path);
        Ok([
            "version: 1\nprofile: kubeadm\ntargets:\n".to_owned(),
            format!("  static_pod_manifest: {{paths: [{}]}}\n", self.scene.watched().display()),
            format!("  kubelet_config: {{paths: [{}]}}\n", self.config.display()),
            format!("  datastore_file: {{paths: [{}]}}\n", self.data.display()),
            format!("  runtime_api: {{sockets: [{0}, {0}.ttrpc]}}\n", socket.display()),
            format!("  datastore_api: {{ports: [{}]}}\nallow:\n", self.port),
            rule("kubelet-here", "static_pod_manifest, kubelet_config", &[&self.kubelet]),
            rule("client", "runtime_api", &[&which("ctr")?]),
            rule("runtime-here", "runtime_api", &[containerd, shim]),
        ]
        .concat())
    }

    /// Where a program of the node is, in a container.
    fn program(name: &str) -> Result<String> {
        Ok(format!("type=bind,src={},dst=/usr/bin/{name},options=rbind:ro", which(name)?.display()))
    }

    /// With the node's network, as the control plane, and what a program of the node's needs.
    fn control_plane(&self, pod: &Pod, more: &[String], args: &[&str]) -> Result<()> {
        let name = args.first().and_then(|path| path.rsplit_once('/')).context("no program")?.1;
        let libraries =
            ["/lib", "/lib64"].map(|dir| format!("type=bind,src={dir},dst={dir},options=rbind:ro"));
        let data = format!("type=bind,src={},dst=/data,options=rbind:rw", self.data.display());
        let mounts = libraries.into_iter().chain([Self::program(name)?, data]);
        let mut all = vec!["--net-host".to_owned()];
        all.extend(mounts.flat_map(|mount| ["--mount".to_owned(), mount]));
        all.extend_from_slice(more);
        self.scene.run_program(pod, &all, args)
    }

    /// Beside whatever starts it; see `Drop`.
    fn start_etcd(&self) -> Result<()> {
        let flags = etcd_flags(Path::new("/data/member"), self.port, free_port()?);
        let args: Vec<_> = std::iter::once("/usr/bin/etcd").chain(flags.iter().map(String::as_str)).collect();
        self.control_plane(&ETCD, &["--detach".to_owned()], &args)?;
        wait_until("etcd listens", || TcpStream::connect(("127.0.0.1", self.port)).is_ok())
    }

    fn put(&self, value: &str) -> Result<()> {
        let endpoint = format!("--endpoints=http://127.0.0.1:{}", self.port);
        let args = ["/usr/bin/etcdctl", &endpoint, "put", "/registry/leases/node", value];
        self.control_plane(&APISERVER, &["--rm".to_owned()], &args)
    }

    /// A container comes and goes, the datastore is written to, manifests are read and the configuration is written anew.
    fn work(&self, round: u32) -> Result<()> {
        self.put(&round.to_string())?;
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
        must(&self.intruder, ["tcp", "127.0.0.1", &self.port.to_string()])?;
        let process = json!({"exe": self.intruder, "parent": {"pid": std::process::id()}, "container": null});
        let target = json!({"class": "datastore_api", "dst_port": self.port});
        expect(&daemon.alert()?, &json!({"action": "connect", "target": target, "process": process}))?;
        must(&self.kubelet, ["rm", &path.to_string_lossy()])
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may never have started.
        let _gone = self.scene.containerd().ctr(&["-n", "k8s.io", "task", "rm", "--force", ETCD.id]);
        let _gone = self.scene.containerd().ctr(&["-n", "k8s.io", "container", "rm", ETCD.id]);
    }
}

fn ordinary_work() -> Result<()> {
    let mut node = Node::new()?;
    let mut daemon = Daemon::fresh(&node.policy()?)?;
    node.start_etcd()?;
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
