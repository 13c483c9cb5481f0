//! Everything at once, for a while: ordinary work, attacks through three doors, new policies, a runtime that is started anew, a reader of
//! the events that stops reading, a daemon that is not let run. At the end every attack is in an event or in a counted loss, and the
//! daemon is as large as it was.

mod scene;

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fmt, fs};

use anyhow::{Context as _, Result, anyhow, ensure};
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use self::scene::Scene;
use super::trials;
use crate::actor::program;
use crate::daemon;
use crate::event::at;
use crate::tables;

/// Says how long. It runs only when asked for, as by `cargo xtask soak`.
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

/// What the events say, without them: in an hour there are millions.
#[derive(Default)]
struct Told {
    events: u64,
    /// Alerts about attacks, by process and class.
    attacks: HashMap<(u64, String), i64>,
    /// The first alerts that are about nothing that is done here.
    unexpected: Vec<Value>,
    lost: u64,
    last_seq: u64,
    has_gap: bool,
}

impl Told {
    fn hear(&mut self, event: Value, attacker: &Value) -> Result<()> {
        self.events += 1;
        if let Some(seq) = event["seq"].as_u64() {
            self.has_gap |= self.last_seq != 0 && seq != self.last_seq + 1;
            self.last_seq = seq;
        }
        let lost = event["health"]["lost"].as_object().into_iter().flat_map(|lost| lost.values());
        self.lost += lost.filter_map(Value::as_u64).sum::<u64>();
        if event["kind"] != "alert" || !event["follows"].is_null() {
            return Ok(());
        }
        let pid = at(&event, "/process/pid").as_u64().context("no pid")?;
        let class = at(&event, "/target/class").as_str().context("no class")?.to_owned();
        // Sockets that are made and removed here are changes by this process and by the runtime.
        let is_change = !["open", "write", "connect"].contains(&event["action"].as_str().unwrap_or_default());
        // Numbers of processes are used again.
        if at(&event, "/process/exe") == attacker && !is_change {
            *self.attacks.entry((pid, class)).or_default() += 1;
        } else if !is_change && pid != u64::from(std::process::id()) && self.unexpected.len() < 3 {
            self.unexpected.push(event);
        }
        Ok(())
    }
}

/// How large a daemon is.
#[derive(Clone, Copy)]
struct Size {
    /// In bytes.
    memory: u64,
    descriptors: usize,
    /// Of the kernel's tables.
    entries: usize,
}

impl Size {
    fn most(sizes: &[Self]) -> Self {
        let most = |part: fn(&Self) -> usize| sizes.iter().map(part).max().unwrap_or(0);
        Self {
            memory: sizes.iter().map(|size| size.memory).max().unwrap_or(0),
            descriptors: most(|size| size.descriptors),
            entries: most(|size| size.entries),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { memory, descriptors, entries } = self;
        write!(f, "{memory} bytes, {descriptors} descriptors, {entries} entries of tables")
    }
}

/// A daemon whose events are read when the gate is open.
struct Daemon {
    child: Child,
    gate: Arc<Mutex<()>>,
    told: JoinHandle<Result<Told>>,
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
        let attacker = json!(program()?);
        let told = thread::spawn({
            let gate = Arc::clone(&gate);
            move || {
                let mut told = Told::default();
                for line in lines.map_while(Result::ok) {
                    drop(gate.lock().unwrap_or_else(PoisonError::into_inner));
                    told.hear(serde_json::from_str(&line)?, &attacker)?;
                }
                Ok(told)
            }
        });
        Ok(Self { child, gate, told })
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    fn size(&self) -> Result<Size> {
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = fs::read_to_string(process.join("status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kibibytes: u64 = resident.trim().trim_end_matches(" kB").parse()?;
        Ok(Size {
            memory: kibibytes << 10,
            descriptors: fs::read_dir(process.join("fd"))?.count(),
            entries: tables::entries(self.child.id())?,
        })
    }

    fn end(mut self) -> Result<Told> {
        self.signal(Signal::TERM)?;
        let told = self.told.join().map_err(|_| anyhow!("the reader ended"))?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the daemon ended with {status}");
        told
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
    let flat = flat(&sizes);
    let told = daemon.end()?;
    println!("soak: {round} rounds, {} attacks, {} events", attacks.len(), told.events);
    account(&attacks, told)?;
    flat
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
fn account(attacks: &[(u32, &'static str)], told: Told) -> Result<()> {
    let Told { attacks: mut left, unexpected, lost, has_gap, .. } = told;
    println!("soak: {lost} lost and counted");
    for (pid, class) in attacks {
        *left.entry((u64::from(*pid), (*class).to_owned())).or_default() -= 1;
    }
    ensure!(unexpected.is_empty(), "alerts that nobody expected: {unexpected:#?}");
    let missing: Vec<_> = left.iter().filter(|(_, left)| **left < 0).collect();
    ensure!(
        missing.len() as u64 <= lost,
        "{} attacks are in no event and {lost} were lost: {missing:?}",
        missing.len()
    );
    let twice: Vec<_> = left.iter().filter(|(_, left)| **left > 0).collect();
    ensure!(twice.is_empty(), "told more than once, or of nobody: {twice:?}");
    ensure!(lost > 0 || !has_gap, "events are missing");
    Ok(())
}

/// The last third is no larger than the second.
fn flat(sizes: &[Size]) -> Result<()> {
    let third = sizes.len() / 3;
    let (before, after) = (Size::most(&sizes[third..2 * third]), Size::most(&sizes[2 * third..]));
    println!("soak: {before}, then {after}");
    let limit = Size {
        memory: before.memory + before.memory / 10 + GROWTH,
        // One or two are open or known for a moment; one that is forgotten each time would be thousands.
        descriptors: before.descriptors + 8,
        entries: before.entries + 8,
    };
    let grew =
        after.memory > limit.memory || after.descriptors > limit.descriptors || after.entries > limit.entries;
    ensure!(!grew, "it grew from {before} to {after}");
    Ok(())
}
