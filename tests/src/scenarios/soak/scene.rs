//! Where the soak happens.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use tempfile::TempDir;

use crate::actor::{copy_to, must, program};
use crate::daemon::policy;
use crate::node::Containerd;

/// A small node, and who attacks it.
pub(super) struct Scene {
    pub(super) dir: TempDir,
    kubelet: PathBuf,
    pub(super) containerd: Containerd,
    datastore: TcpListener,
}

impl Scene {
    pub(super) fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        fs::create_dir(dir.path().join("manifests"))?;
        fs::write(dir.path().join("manifests/etcd.yaml"), "kind: Pod\n")?;
        let kubelet = copy_to(&dir.path().join("kubelet"))?;
        let datastore = TcpListener::bind(("127.0.0.1", 0))?;
        let scene = Self { dir, kubelet, containerd: Containerd::start()?, datastore };
        scene.write_policy(0)?;
        Ok(scene)
    }

    pub(super) fn config(&self) -> PathBuf {
        self.dir.path().join("policy.yaml")
    }

    fn manifest(&self) -> PathBuf {
        self.dir.path().join("manifests/etcd.yaml")
    }

    fn port(&self) -> Result<u16> {
        Ok(self.datastore.local_addr()?.port())
    }

    /// Another one for each number, that allows the same.
    pub(super) fn write_policy(&self, number: usize) -> Result<()> {
        let targets = format!(
            "static_pod_manifest: {{paths: [{}]}}, runtime_api: {{sockets: [{}]}}, datastore_api: {{ports: [{}, {}]}}",
            self.dir.path().join("manifests").display(),
            self.containerd.socket().display(),
            self.port()?,
            1 + number % 1000,
        );
        let rule = format!(
            "{{id: kubelet, targets: [static_pod_manifest, runtime_api, datastore_api], process: {{exe: {}}}}}",
            self.kubelet.display()
        );
        Ok(fs::write(self.config(), policy(&targets, &rule))?)
    }

    /// Whoever does it is not allowed to. Returns the process and the class of the door.
    pub(super) fn attack(&self, number: usize) -> Result<(u32, &'static str)> {
        let (manifest, socket, port) = (self.manifest(), self.containerd.socket(), self.port()?.to_string());
        let (class, args) = match number % 4 {
            0 => ("static_pod_manifest", vec!["open".into(), manifest.into_os_string(), "r".into()]),
            1 => ("static_pod_manifest", vec!["open".into(), manifest.into_os_string(), "w".into()]),
            2 => ("runtime_api", vec!["unix".into(), socket.into_os_string()]),
            _ => ("datastore_api", vec!["tcp".into(), "127.0.0.1".into(), port.into()]),
        };
        let mut child = Command::new(program()?).args(args).stdin(Stdio::null()).spawn()?;
        let pid = child.id();
        ensure!(child.wait()?.success(), "the attack failed");
        // The listener is not to be full.
        if class == "datastore_api" {
            drop(self.datastore.accept()?);
        }
        Ok((pid, class))
    }

    pub(super) fn ordinary_work(&self) -> Result<()> {
        let manifest = self.manifest();
        must(&self.kubelet, ["open", &manifest.to_string_lossy(), "r"])?;
        must(&self.kubelet, ["unix", &self.containerd.socket().to_string_lossy()])?;
        let beside = self.dir.path().join("beside");
        fs::write(&beside, "x")?;
        fs::rename(&beside, self.dir.path().join("renamed"))?;
        must(Path::new("/bin/true"), [""; 0])
    }
}
