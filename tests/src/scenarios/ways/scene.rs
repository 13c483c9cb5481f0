//! What the ways lead to: `above/manifests` with files, and beside it things that are not watched.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;

use anyhow::Result;
use rustix::mount::{UnmountFlags, unmount};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
use tempfile::TempDir;

use crate::node::{free_port, own_address};

pub struct Scene {
    dir: TempDir,
    listener: TcpListener,
    closed_port: u16,
    marker: u16,
    address: Ipv4Addr,
    _runtime: UnixListener,
    _packets: OwnedFd,
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
        let packets = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None)?;
        bind(&packets, &SocketAddrUnix::new(dir.path().join("packets.sock"))?)?;
        listen(&packets, 16)?;
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let (closed_port, marker, address) = (free_port()?, free_port()?, own_address()?);
        let scene =
            Self { dir, listener, closed_port, marker, address, _runtime: runtime, _packets: packets };
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

    /// One of the node's own that is no loopback.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    pub fn closed_port(&self) -> u16 {
        self.closed_port
    }

    /// As it was before any way, made by this process, which does not count. What is there already stays.
    pub fn restore(&self) -> Result<()> {
        let root = self.dir.path();
        for name in ["point/manifests", "point", "above/manifests/etcd.yaml", "above/manifests", "above"] {
            // Most of the time nothing is mounted.
            let _not_mounted = unmount(root.join(name), UnmountFlags::DETACH);
        }
        let above = root.join("above");
        for real in ["moved", "fake"].map(|name| root.join(name)).iter().filter(|real| real.exists()) {
            if above.exists() {
                fs::remove_dir_all(&above)?;
            }
            fs::rename(real, &above)?;
        }
        fs::create_dir_all(above.join("manifests"))?;
        for made in [above.join("manifests/new.yaml"), root.join("upper/new.yaml")] {
            let _not_made = fs::remove_file(made);
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
        fs::write(root.join("address"), format!("{}:{}", self.address, self.port()))?;
        for name in ["upper", "work", "merged", "point"] {
            fs::create_dir_all(root.join(name))?;
        }
        Ok(())
    }
}
