//! What the ways lead to: `above/manifests` with files, and beside it things that are not watched.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;

use anyhow::Result;
use rustix::mount::{UnmountFlags, unmount};
use tempfile::TempDir;

use crate::node::free_port;

pub struct Scene {
    dir: TempDir,
    listener: TcpListener,
    closed_port: u16,
    marker: u16,
    _runtime: UnixListener,
}

impl Scene {
    pub fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        // Users without privilege get as far as the socket.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        fs::create_dir_all(dir.path().join("above/manifests"))?;
        let runtime = UnixListener::bind(dir.path().join("runtime.sock"))?;
        // Its listener is gone, the file stays.
        drop(UnixListener::bind(dir.path().join("deaf.sock"))?);
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let scene =
            Self { dir, listener, closed_port: free_port()?, marker: free_port()?, _runtime: runtime };
        scene.restore()?;
        Ok(scene)
    }

    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_string_lossy().into_owned()
    }

    /// A port that no way uses.
    pub fn marker(&self) -> u16 {
        self.marker
    }

    pub fn port(&self) -> u16 {
        self.listener.local_addr().map_or(0, |address| address.port())
    }

    pub fn closed_port(&self) -> u16 {
        self.closed_port
    }

    /// As it was before any way, made by this process, which does not count. What is there already stays.
    pub fn restore(&self) -> Result<()> {
        let root = self.dir.path();
        for name in ["above/manifests/etcd.yaml", "above/manifests", "above"] {
            // Most of the time nothing is mounted.
            let _not_mounted = unmount(root.join(name), UnmountFlags::DETACH);
        }
        if !root.join("above").exists() {
            fs::rename(root.join("moved"), root.join("above"))?;
        }
        for name in ["above/manifests/etcd.yaml", "outside.yaml", "other.yaml"] {
            let path = root.join(name);
            if !path.exists() {
                fs::write(path, "kind: Pod\n")?;
            }
        }
        if !root.join("runtime.sock").exists() {
            fs::rename(root.join("renamed.sock"), root.join("runtime.sock"))?;
        }
        fs::write(root.join("port"), self.port().to_string())?;
        for name in ["upper", "work", "merged", "point"] {
            fs::create_dir_all(root.join(name))?;
        }
        Ok(())
    }
}
