//! Every way of the daemon's own table of coverage, on every backend: seen has to be seen, not seen has to be silent.

mod scene;
mod table;

use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use self::scene::Scene;
use self::table::{Act, WAYS, Way};
use super::{Skip, lockdown, trial};
use crate::actor::{must, program, run, shell, shell_output};
use crate::daemon::{Daemon, command, is_loss, policy};
use crate::event::at;
use crate::node::{is_guest, is_preemptible};

/// A guest's kernel has them all; elsewhere it is the one that the daemon chooses. A kernel that can be interrupted skips programs of
/// the others whenever the scheduler wants it.
pub fn all() -> Vec<Trial> {
    let all = is_guest() && !lockdown::is_on() && !is_preemptible();
    let backends: &[&str] = if all { &["auto", "kprobe", "syscall"] } else { &["auto"] };
    let mut trials = vec![trial("ways", "table_is_complete", table_is_complete)];
    for backend in backends {
        let subject = format!("ways_{backend}");
        trials.extend(WAYS.iter().map(|way| trial(&subject, way.id, || go(way, backend))));
        trials.push(trial(&subject, "nothing_twice", || nothing_twice(backend)));
    }
    trials
}

/// How the first event says that fanotify does not tell of a directory.
const UNTOLD: &str = "that open nothing: ";

/// One daemon for all ways on a backend.
struct Run {
    backend: &'static str,
    scene: Scene,
    daemon: Daemon,
    coverage: String,
    /// What was seen: from which event on, by which process, what.
    seen: Vec<(usize, Value, Value)>,
}

static RUN: LazyLock<Mutex<Option<Run>>> = LazyLock::new(Mutex::default);

impl Run {
    fn start(backend: &'static str) -> Result<Self> {
        let scene = Scene::new()?;
        let targets = format!(
            "static_pod_manifest: {{paths: [{}]}}, runtime_api: {{sockets: [{}, {}]}}, \
             kubelet_api: {{ports: [{}, {}], destinations: node}}, datastore_api: {{ports: [{}]}}",
            scene.path("above/manifests"),
            scene.path("runtime.sock"),
            scene.path("deaf.sock"),
            scene.port(),
            scene.closed_port(),
            scene.marker(),
        );
        let daemon = Daemon::start_with(Some(&policy(&targets, "")), &["--backend", backend])?;
        let coverage = String::from_utf8(command(&["list", "coverage"])?.stdout)?;
        Ok(Self { backend, scene, daemon, coverage, seen: Vec::new() })
    }

    /// What the table says of a way on the backend that runs.
    fn claims(&self, id: &str) -> Result<String> {
        let running = at(self.daemon.started(), "/lifecycle/backend").as_str().context("no backend")?;
        let mut lines = self.coverage.lines();
        let column = |line: &str, column| {
            line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).nth(column).map(str::to_owned)
        };
        let head = lines.next().context("no table")?.to_owned();
        let running = if lockdown::is_on() { "lockdown" } else { running };
        let index =
            (1..=4).find(|index| column(&head, *index).as_deref() == Some(running)).context("no column")?;
        let line = lines.find(|line| column(line, 0).as_deref() == Some(id)).context("not in the table")?;
        let claim = column(line, index).context("no claim")?;
        // Before 5.19 there is no telling which request is complete; the daemon says so in its first event.
        let hooks = at(self.daemon.started(), "/lifecycle/hooks").to_string();
        let blind = running == "syscall" && id.contains("uring") && !hooks.contains("io_uring_complete");
        // Before 6.15 there is no telling who mounts.
        let mounts = id.starts_with("mount.") && id != "mount.tmpfs_write";
        let blind = blind || running == "syscall" && mounts && !hooks.contains("fanotify mounts");
        // Nor what is changed, in file systems whose files fanotify cannot tell apart: before 5.13, those in memory.
        let gaps = at(self.daemon.started(), "/lifecycle/coverage_gaps").to_string();
        let blind = blind || running == "syscall" && id.starts_with("change.") && gaps.contains(UNTOLD);
        Ok(if blind { "not seen".to_owned() } else { claim })
    }

    fn go(&mut self, way: &Way) -> Result<()> {
        let from = self.daemon.seen().len();
        let claim = self.claims(way.id)?;
        let mut wanted = (way.wanted)(&self.scene);
        if claim == "partly"
            && let Some(target) = wanted["target"].as_object_mut()
        {
            target.retain(|key, _| key != "from" && key != "to");
        }
        let outcome = self.act(from, &claim, way);
        if let Err(error) = outcome {
            self.scene.restore()?;
            return Err(error);
        }
        let matches = |event: &Value| event["kind"] == "alert" && is_like(event, &wanted) && is_child(event);
        let result = match claim.as_str() {
            "seen" | "partly" => {
                let event = self.daemon.wait_for_from(from, way.id, matches);
                event.map(|event| self.seen.push((from, at(&event, "/process/pid").clone(), wanted.clone())))
            }
            // Whether it is seen at once is a matter of time.
            "late" => Ok(()),
            "not seen" => self.silent(from, &wanted),
            other => Err(anyhow!("what is {other}?")),
        };
        self.scene.restore()?;
        result
    }

    fn act(&mut self, from: usize, claim: &str, way: &Way) -> Result<()> {
        let actor = program()?;
        let output = match &way.act {
            Act::Actor(args) => run(&actor, args(&self.scene))?,
            Act::Shell(line) => shell_output(&line(&self.scene, &actor.to_string_lossy()))?,
            Act::Mounted(line) => {
                let point = "above/manifests";
                shell(&format!("mount -t tmpfs none {}", self.scene.path(point)))?;
                let wanted = table::mount(&self.scene, "mount", point);
                if claim == "seen" {
                    self.daemon.wait_for_from(from, "the mount", |event| is_like(event, &wanted))?;
                }
                shell_output(&line(&self.scene, &actor.to_string_lossy()))?
            }
        };
        if output.status.success() {
            return Ok(());
        }
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let unsupported =
            ["unsupported", "without descriptors", "set up a ring", "too old", "unknown filesystem"];
        if unsupported.iter().any(|word| stderr.contains(word)) {
            bail!(Skip("this kernel cannot"));
        }
        bail!("{stderr}{}", String::from_utf8_lossy(&output.stdout))
    }

    /// Something that is seen for sure comes later, and nothing like what is wanted before it.
    fn silent(&mut self, from: usize, wanted: &Value) -> Result<()> {
        let marker = self.scene.marker();
        must(&program()?, ["tcp", "127.0.0.1", &marker.to_string()])?;
        self.daemon.wait_for_from(from, "the marker", |event| at(event, "/target/dst_port") == marker)?;
        let seen = self.daemon.seen()[from..].iter().find(|event| is_like(event, wanted));
        match seen {
            None => Ok(()),
            Some(event) => bail!("the table says that it is not seen, but it is: {event:#}"),
        }
    }
}

fn go(way: &'static Way, backend: &'static str) -> Result<()> {
    let mut run = RUN.lock().unwrap_or_else(PoisonError::into_inner);
    if run.as_ref().is_none_or(|run| run.backend != backend) {
        *run = None;
        *run = Some(Run::start(backend)?);
    }
    let result = run.as_mut().context("no daemon")?.go(way);
    if result.as_ref().is_err_and(|error| error.downcast_ref::<Skip>().is_none()) {
        // Whatever the way left behind is not the next one's.
        *run = None;
    }
    result
}

/// One use is one event.
fn nothing_twice(backend: &'static str) -> Result<()> {
    let mut run = RUN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(run) = run.take().filter(|run| run.backend == backend) else { return Ok(()) };
    let Run { daemon, seen, .. } = run;
    let (_, events) = daemon.stop(rustix::process::Signal::TERM)?;
    for (from, pid, wanted) in seen {
        let same = |event: &&Value| {
            event["follows"].is_null() && at(event, "/process/pid") == &pid && is_like(event, &wanted)
        };
        let count = events[from..].iter().filter(same).count();
        ensure!(count == 1, "{count} events of {wanted} by process {pid}");
    }
    let lost = events.iter().find(|event| is_loss(event));
    ensure!(lost.is_none(), "{lost:#?}");
    Ok(())
}

/// What the daemon says of its coverage and what is tested are the same ways.
fn table_is_complete() -> Result<()> {
    let listed = String::from_utf8(command(&["list", "coverage"])?.stdout)?;
    let listed: BTreeSet<_> = listed.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
    let tested: BTreeSet<_> = WAYS.iter().map(|way| way.id).collect();
    ensure!(listed == tested, "only listed or only tested: {:?}", listed.symmetric_difference(&tested));
    Ok(())
}

/// Whether the event has all that is wanted. A list means one of its elements.
fn is_like(event: &Value, wanted: &Value) -> bool {
    match (event, wanted) {
        (Value::Object(event), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| is_like(event.get(key).unwrap_or(&Value::Null), wanted))
        }
        (event, Value::Array(any)) => any.contains(event),
        (event, wanted) => event == wanted,
    }
}

/// Whether the actor was started here.
fn is_child(event: &Value) -> bool {
    let ancestors = at(event, "/process/ancestors").as_array().into_iter().flatten();
    let mut line = std::iter::once(at(event, "/process/parent")).chain(ancestors);
    line.any(|ancestor| ancestor["pid"] == json!(std::process::id()))
}
