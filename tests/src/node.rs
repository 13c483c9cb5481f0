//! What a node has besides a kernel: a container runtime and a datastore, the real ones.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

/// Whether this runs in one of xtask's guests, where the tests' init is process 1.
pub fn is_guest() -> bool {
    fs::read_link("/proc/1/exe").is_ok_and(|exe| exe == Path::new("/init"))
}

/// Whether this runs in one of those where systemd is.
pub fn is_guest_of_systemd() -> bool {
    let is_systemd = fs::read_link("/proc/1/exe").is_ok_and(|exe| exe == Path::new("/lib/systemd/systemd"));
    is_systemd && Path::new("/etc/guest.job").exists()
}

/// Whether a guest's kernel can be interrupted in its own code.
pub fn is_preemptible() -> bool {
    let modes = fs::read_to_string("/sys/kernel/debug/sched/preempt").unwrap_or_default();
    modes.contains("(full)") || modes.contains("(lazy)")
}

/// A port of loopback that nobody listens on.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// An address of this node that is no loopback. A guest has none of its own.
pub fn own_address() -> Result<Ipv4Addr> {
    const GUEST: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 1);
    if is_guest() {
        // It may be there already.
        let _there = crate::actor::shell(&format!("ip addr add {GUEST}/32 dev lo"));
        return Ok(GUEST);
    }
    // Sends nothing.
    let socket = UdpSocket::bind(("0.0.0.0", 0))?;
    socket.connect(("192.0.2.1", 9)).context("this machine has no address but loopback")?;
    match socket.local_addr()?.ip() {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(address) => bail!("{address} is not IPv4"),
    }
}

/// Where a program of the node is.
pub fn which(name: &str) -> Result<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    // Where services are, for who is not root in a shell of root's.
    let found =
        path.split(':').chain(["/usr/sbin"]).map(|dir| Path::new(dir).join(name)).find(|path| path.is_file());
    let found = found.with_context(|| format!("there is no {name}; run `cargo xtask setup`"))?;
    Ok(fs::canonicalize(found)?)
}

/// Waits for something that has no other way to tell.
pub fn wait_until(what: &str, done: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !done() {
        ensure!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// A process that is ended with the test.
#[derive(Debug)]
pub struct Service(Child);

impl Service {
    fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let log = fs::File::create(log)?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        Ok(Self(child.with_context(|| format!("cannot start {command:?}"))?))
    }

    /// Waits until the service is ready, and fails if it ends before.
    fn wait(&mut self, what: &str, log: &Path, ready: impl Fn() -> bool) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !ready() {
            let ended = self.0.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(log).unwrap_or_default();
                bail!("{what} is not ready ({ended:?}): {log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// containerd with everything of its own in one directory.
#[derive(Debug)]
pub struct Containerd {
    dir: TempDir,
    service: Option<Service>,
}

impl Containerd {
    pub fn start() -> Result<Self> {
        // Not /tmp: the path of a unix socket is short, and overlayfs needs a real file system.
        let dir = tempfile::tempdir_in("/run")?;
        let mut containerd = Self { dir, service: None };
        let config = format!(
            "version = 2\nroot = \"{0}/root\"\nstate = \"{0}/containerd\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = \"{0}/containerd.sock\"\n",
            containerd.dir.path().display()
        );
        fs::write(containerd.path("config.toml"), config)?;
        containerd.restart()?;
        Ok(containerd)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn socket(&self) -> PathBuf {
        self.path("containerd.sock")
    }

    /// Stops it if it runs, and starts it: its socket is another file afterwards.
    pub fn restart(&mut self) -> Result<()> {
        self.service = None;
        let _stale = fs::remove_file(self.socket());
        let log = self.path("log");
        let mut command = Command::new(which("containerd")?);
        command.arg("--config").arg(self.path("config.toml"));
        let mut service = Service::start(&mut command, &log)?;
        let socket = self.socket();
        service.wait("containerd", &log, || {
            socket.exists()
                && fs::read_to_string(&log).is_ok_and(|log| log.contains("containerd successfully booted"))
        })?;
        self.service = Some(service);
        Ok(())
    }

    /// containerd's own client.
    pub fn ctr(&self, args: &[&str]) -> Result<()> {
        let socket = self.socket();
        let socket = socket.to_string_lossy();
        crate::actor::must(&which("ctr")?, ["--address", &socket].iter().chain(args))
    }

    /// The same, not yet started, for pods' containers.
    pub fn ctr_command(&self) -> Result<Command> {
        let mut command = Command::new(which("ctr")?);
        command.arg("--address").arg(self.socket()).args(["--namespace", "k8s.io"]);
        Ok(command)
    }
}

/// Of an etcd with one member, on loopback.
pub fn etcd_flags(data: &Path, port: u16, peer: u16) -> Vec<String> {
    let [client, peer] = [port, peer].map(|port| format!("http://127.0.0.1:{port}"));
    let cluster = format!("default={peer}");
    [
        ("--data-dir", &*data.to_string_lossy()),
        ("--listen-client-urls", &client),
        ("--advertise-client-urls", &client),
        ("--listen-peer-urls", &peer),
        ("--initial-advertise-peer-urls", &peer),
        ("--initial-cluster", &cluster),
    ]
    .into_iter()
    .flat_map(|(flag, value)| [flag.to_owned(), value.to_owned()])
    .collect()
}

/// etcd with one member, on loopback.
#[derive(Debug)]
pub struct Etcd {
    pub port: u16,
    _service: Service,
    dir: TempDir,
}

impl Etcd {
    pub fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let (port, peer) = (free_port()?, free_port()?);
        let log = dir.path().join("log");
        let mut command = Command::new(which("etcd")?);
        command.args(etcd_flags(&dir.path().join("data"), port, peer));
        let mut service = Service::start(&mut command, &log)?;
        service.wait("etcd", &log, || TcpStream::connect(("127.0.0.1", port)).is_ok())?;
        Ok(Self { port, _service: service, dir })
    }

    /// Where its files are.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }
}
