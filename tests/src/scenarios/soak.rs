//! Everything at once, for a while: ordinary work, attacks through three doors, new policies, a runtime that is started anew, a reader of
//! the events that stops reading, a daemon that is not let run. At the end every attack is in an event or in a counted loss, and the
//! daemon is as large as it was.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::trials;
use crate::actor::{copy_to, must, program};
use crate::daemon::{self, policy};
use crate::event::at;
use crate::node::Containerd;

/// Says how long. It takes long, so it runs only when asked for, as by `cargo xtask soak`.
const SECONDS: &str = "BYPASSD_SOAK_SECONDS";

pub fn all() -> Vec<Trial> {
    if std::env::var_os(SECONDS).is_none() {
        return Vec::new();
    }
    trials("soak", &[("all_is_accounted_for", all_is_accounted_for)])
}

/// How long the output is not read, and the daemon not let run: parts of the load, nothing is waited for.
const STALL: Duration = Duration::from_millis(1500);

/// Of memory, beside a tenth: what an allocator keeps differs from time to time.
const GROWTH: u64 = 4 << 20;

struct Scene {
    dir: TempDir,
    kubelet: PathBuf,
    containerd: Containerd,
    datastore: TcpListener,
}

impl Scene {
    fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        fs::create_dir(dir.path().join("manifests"))?;
        fs::write(dir.path().join("manifests/etcd.yaml"), "kind: Pod\n")?;
        let kubelet = copy_to(&dir.path().join("kubelet"))?;
        let datastore = TcpListener::bind(("127.0.0.1", 0))?;
        let scene = Self { dir, kubelet, containerd: Containerd::start()?, datastore };
        scene.write_policy(0)?;
        Ok(scene)
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("policy.yaml")
    }

    fn manifest(&self) -> PathBuf {
        self.dir.path().join("manifests/etcd.yaml")
    }

    fn port(&self) -> Result<u16> {
        Ok(self.datastore.local_addr()?.port())
    }

    /// Another one for each number, that allows the same.
    fn write_policy(&self, number: usize) -> Result<()> {
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
    fn attack(&self, number: usize) -> Result<(u32, &'static str)> {
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

    fn ordinary_work(&self) -> Result<()> {
        let manifest = self.manifest();
        must(&self.kubelet, ["open", &manifest.to_string_lossy(), "r"])?;
        must(&self.kubelet, ["unix", &self.containerd.socket().to_string_lossy()])?;
        let beside = self.dir.path().join("beside");
        fs::write(&beside, "x")?;
        fs::rename(&beside, self.dir.path().join("renamed"))?;
        must(Path::new("/bin/true"), [""; 0])
    }
}

/// A daemon whose events are read when the gate is open.
struct Daemon {
    child: Child,
    gate: Arc<Mutex<()>>,
    events: JoinHandle<Vec<String>>,
}

impl Daemon {
    fn start(scene: &Scene) -> Result<Self> {
        let mut command = Command::new(daemon::program()?);
        command.args(["run", "--format", "native", "--config"]).arg(scene.config());
        let log = fs::File::create(scene.dir.path().join("stderr"))?;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let first = lines.next().context("it did not start")??;
        ensure!(first.contains("\"started\""), "{first}");
        let gate = Arc::new(Mutex::new(()));
        let events = thread::spawn({
            let gate = Arc::clone(&gate);
            move || {
                let each = |line| {
                    drop(gate.lock().unwrap_or_else(PoisonError::into_inner));
                    line
                };
                lines.map_while(Result::ok).map(each).collect()
            }
        });
        Ok(Self { child, gate, events })
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Bytes of memory, and descriptors.
    fn size(&self) -> Result<(u64, usize)> {
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = fs::read_to_string(process.join("status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kibibytes: u64 = resident.trim().trim_end_matches(" kB").parse()?;
        Ok((kibibytes << 10, fs::read_dir(process.join("fd"))?.count()))
    }

    fn end(mut self) -> Result<Vec<Value>> {
        self.signal(Signal::TERM)?;
        let lines = self.events.join().map_err(|_| anyhow!("the reader ended"))?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the daemon ended with {status}");
        lines.iter().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }
}

fn length() -> Result<Duration> {
    Ok(Duration::from_secs(std::env::var(SECONDS)?.parse().context(SECONDS)?))
}

fn all_is_accounted_for() -> Result<()> {
    let (mut scene, length) = (Scene::new()?, length()?);
    let daemon = Daemon::start(&scene)?;
    let (mut attacks, mut sizes) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    let mut round = 0;
    while begin.elapsed() < length {
        round += 1;
        scene.ordinary_work()?;
        for _ in 0..4 {
            attacks.push(scene.attack(attacks.len())?);
        }
        disturb(&mut scene, &daemon, round, &mut attacks)?;
        sizes.push(daemon.size()?);
    }
    let events = daemon.end()?;
    println!("soak: {round} rounds, {} attacks, {} events", attacks.len(), events.len());
    account(&attacks, &events)?;
    flat(&sizes)
}

/// What else happens now and then.
fn disturb(
    scene: &mut Scene,
    daemon: &Daemon,
    round: usize,
    attacks: &mut Vec<(u32, &'static str)>,
) -> Result<()> {
    match round % 40 {
        10 => {
            scene.write_policy(round)?;
            daemon.signal(Signal::HUP)
        }
        20 => {
            let _shut = daemon.gate.lock().unwrap_or_else(PoisonError::into_inner);
            meanwhile(scene, attacks)
        }
        30 => {
            daemon.signal(Signal::STOP)?;
            let result = meanwhile(scene, attacks);
            daemon.signal(Signal::CONT)?;
            result
        }
        0 => scene.containerd.restart(),
        _ => Ok(()),
    }
}

fn meanwhile(scene: &Scene, attacks: &mut Vec<(u32, &'static str)>) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < STALL {
        attacks.push(scene.attack(attacks.len())?);
    }
    Ok(())
}

/// Every attack has its alert, or there is a loss that it can be part of. Nothing else is an alert.
fn account(attacks: &[(u32, &'static str)], events: &[Value]) -> Result<()> {
    let mut expected: HashMap<(u64, &str), i64> = HashMap::new();
    for (pid, class) in attacks {
        *expected.entry((u64::from(*pid), class)).or_default() += 1;
    }
    let (own, attacker) = (u64::from(std::process::id()), program()?);
    for event in events.iter().filter(|event| event["kind"] == "alert" && event["follows"].is_null()) {
        let (pid, class) = (at(event, "/process/pid"), at(event, "/target/class"));
        let key = (pid.as_u64().context("no pid")?, class.as_str().context("no class")?);
        // Sockets that are made and removed here are changes by this process and by the runtime.
        let is_change = !["open", "write", "connect"].contains(&event["action"].as_str().unwrap_or_default());
        // Numbers of processes are used again.
        let is_attack = at(event, "/process/exe") == &serde_json::json!(attacker);
        match expected.get_mut(&key).filter(|_| is_attack) {
            Some(left) => *left -= 1,
            None => ensure!(is_change || key.0 == own, "an alert that nobody expected: {event:#}"),
        }
    }
    let lost = events.iter().filter_map(|event| event["health"]["lost"].as_object());
    let lost: u64 = lost.flat_map(|lost| lost.values()).filter_map(Value::as_u64).sum();
    println!("soak: {lost} lost and counted");
    let missing: Vec<_> = expected.iter().filter(|(_, left)| **left > 0).collect();
    ensure!(
        missing.len() as u64 <= lost,
        "{} attacks are in no event and {lost} were lost: {missing:?}",
        missing.len()
    );
    let twice: Vec<_> = expected.iter().filter(|(_, left)| **left < 0).collect();
    ensure!(twice.is_empty(), "told more than once: {twice:?}");
    let seqs: Vec<_> = events.iter().filter_map(|event| event["seq"].as_u64()).collect();
    ensure!(lost > 0 || seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "events are missing");
    Ok(())
}

/// The last third is no larger than the second.
fn flat(sizes: &[(u64, usize)]) -> Result<()> {
    let third = sizes.len() / 3;
    let (before, after) = (&sizes[third..2 * third], &sizes[2 * third..]);
    let most = |sizes: &[(u64, usize)]| {
        (
            sizes.iter().map(|size| size.0).max().unwrap_or(0),
            sizes.iter().map(|size| size.1).max().unwrap_or(0),
        )
    };
    let ((memory, descriptors), (memory_after, descriptors_after)) = (most(before), most(after));
    println!("soak: {memory} then {memory_after} bytes, {descriptors} then {descriptors_after} descriptors");
    ensure!(memory_after <= memory + memory / 10 + GROWTH, "memory grew from {memory} to {memory_after}");
    // One or two are open for a moment; one that is forgotten each time would be thousands.
    ensure!(
        descriptors_after <= descriptors + 8,
        "descriptors grew from {descriptors} to {descriptors_after}"
    );
    Ok(())
}
