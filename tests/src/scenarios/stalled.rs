//! Whoever reads our output stops for half a minute and goes on: what fits into the queue is all there, the rest is counted.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::io::ioctl_fionread;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::trials;
use crate::actor::{must, program};
use crate::daemon::{self, manifests};
use crate::event::at;
use crate::node::is_guest;

/// How long nobody reads.
const STALL: Duration = Duration::from_secs(30);

/// Accesses while nobody reads: fewer and more than the 4,096 events that the daemon keeps.
const FEW: u64 = 1_000;
const MANY: u64 = 6_000;

/// A pipe has 16 pages, and a line that does not fit behind another begins a new one: a full one holds more than half of them.
const FULL: u64 = 32 << 10;

/// Half a minute is worth it once, and the kernel makes no difference.
pub fn all() -> Vec<Trial> {
    if is_guest() { Vec::new() } else { trials("stalled", &[("output", output)]) }
}

/// Two daemons share the half minute.
fn output() -> Result<()> {
    let (few, many) = (Stalled::start()?, Stalled::start()?);
    let started = Instant::now();
    few.access(FEW)?;
    many.access(MANY)?;
    // Nothing to wait for but the time itself: the stall is what is tested.
    thread::sleep(STALL.saturating_sub(started.elapsed()));
    let few = few.read_on()?;
    ensure!(few.lost()? == 0 && few.gaps() == 0, "lost, though there was room: {:#?}", few.losses());
    ensure!(few.alerts() == FEW, "{} of {FEW} accesses are in the events", few.alerts());
    let many = many.read_on()?;
    let (alerts, lost, gaps) = (many.alerts(), many.lost()?, many.gaps());
    ensure!(lost > 0 && lost == gaps, "{lost} are told to be lost, {gaps} numbers are missing");
    ensure!(alerts + lost == MANY, "{alerts} events and {lost} lost of {MANY} accesses");
    Ok(())
}

/// A daemon whose output nobody reads.
struct Stalled {
    child: Child,
    stdout: ChildStdout,
    dir: TempDir,
}

impl Stalled {
    fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let watched = dir.path().join("manifests");
        fs::create_dir(&watched)?;
        fs::write(watched.join("etcd.yaml"), "kind: Pod\n")?;
        let config = dir.path().join("policy.yaml");
        fs::write(&config, manifests(&watched, ""))?;
        let mut child = Command::new(daemon::program()?)
            .args(["run", "--format", "native", "--config"])
            .arg(config)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut stdout = child.stdout.take().context("the daemon has no stdout")?;
        // The first event says that the targets are armed. Not more is read than that.
        while read_byte(&mut stdout)? != b'\n' {}
        Ok(Self { child, stdout, dir })
    }

    fn manifest(&self) -> PathBuf {
        self.dir.path().join("manifests/etcd.yaml")
    }

    /// Each by a process of its own, so that none is a repetition.
    fn access(&self, count: u64) -> Result<()> {
        must(&program()?, ["many", &count.to_string(), &self.manifest().to_string_lossy()])
    }

    /// Everything it wrote after the first event, once somebody reads again and it ends.
    fn read_on(mut self) -> Result<Events> {
        let waiting = ioctl_fionread(&self.stdout)?;
        ensure!(waiting >= FULL, "the pipe was never full, it holds {waiting} bytes");
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let lines = BufReader::new(&mut self.stdout).lines();
        let events = lines.map(|line| Ok(serde_json::from_str(&line?)?)).collect::<Result<Vec<Value>>>()?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the daemon ended with {status}");
        Ok(Events(events))
    }
}

impl Drop for Stalled {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

struct Events(Vec<Value>);

impl Events {
    fn alerts(&self) -> u64 {
        let alerts = self.0.iter().filter(|event| event["kind"] == "alert");
        alerts.map(|event| event["count"].as_u64().unwrap_or(1)).sum()
    }

    fn losses(&self) -> Vec<&Value> {
        self.0.iter().filter(|event| event["health"]["state"] == "loss").collect()
    }

    /// What `health` events say. All of it has one reason.
    fn lost(&self) -> Result<u64> {
        let mut total = 0;
        for loss in self.losses() {
            let lost = at(loss, "/health/lost").as_object().context("a loss of nothing")?;
            ensure!(lost.keys().eq(["output_queue_full"]), "{loss:#}");
            total += lost.values().filter_map(Value::as_u64).sum::<u64>();
        }
        Ok(total)
    }

    /// Numbers that no event has.
    fn gaps(&self) -> u64 {
        let last = self.0.iter().filter_map(|event| event["seq"].as_u64()).max().unwrap_or(1);
        // The first was read before.
        last - 1 - self.0.len() as u64
    }
}

fn read_byte(stdout: &mut ChildStdout) -> Result<u8> {
    let mut byte = [0];
    stdout.read_exact(&mut byte)?;
    Ok(byte[0])
}
