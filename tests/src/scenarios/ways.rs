//! Every way of the daemon's own table of coverage, on every backend: seen has to be seen, not seen has to be silent.

mod scene;
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use self::scene::Scene;
use self::table::{Act, WAYS, Way};
use super::{Skip, lockdown, trial};
use crate::actor::{copy_to, must, program, run, shell, shell_output};
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

/// A look at the node comes within a part of a second, unless the machine has other things to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// The way that leaves nothing to be looked at.
const REMOVED: &str = "change.ancestor_unlink";

/// The ways that are seen by the directory above itself, after others that may have made it anew.
const KNOWN: [&str; 3] = ["change.ancestor_rename", "change.ancestor_exchange", REMOVED];

/// The way of which only the end is seen.
const BY_NOBODY: &str = "tcp.redirected";

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
            "static_pod_manifest: {{paths: [{}]}}, runtime_api: {{sockets: [{}, {}, {}, {}]}}, \
             kubelet_api: {{ports: [{}, {}], destinations: node}}, datastore_api: {{ports: [{}]}}",
            scene.path("above/manifests"),
            scene.path("runtime.sock"),
            scene.path("deaf.sock"),
            scene.path("packets.sock"),
            scene.path("anew.sock"),
            scene.port(),
            scene.closed_port(),
            scene.marker(),
        );
        copy_to(Path::new(&scene.path("trusted")))?;
        let trusted = format!(
            "{{id: trusted, targets: static_pod_manifest, process: {{exe: {}}}}}",
            scene.path("trusted")
        );
        let daemon = Daemon::start_with(Some(&policy(&targets, &trusted)), &["--backend", backend])?;
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
        let completed = ["open.uring", "unix.uring"].iter().any(|way| id.starts_with(way));
        let blind = running == "syscall" && completed && !hooks.contains("io_uring_complete");
        // Before 6.15 there is no telling who mounts.
        let mounts = id.starts_with("mount.") && !id.ends_with("_write");
        let blind = blind || running == "syscall" && mounts && !hooks.contains("fanotify mounts");
        // Nor what is changed, in file systems whose files fanotify cannot tell apart: before 5.13, those in memory.
        let gaps = at(self.daemon.started(), "/lifecycle/coverage_gaps").to_string();
        let blind = blind || running == "syscall" && id.starts_with("change.") && gaps.contains(UNTOLD);
        // A look at the node comes to what is there anyway, and never to what is gone.
        let looked_at = claim == "late" && id != REMOVED;
        Ok(if blind && !looked_at { "not seen".to_owned() } else { claim })
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
        // Where programs read numbers only, nothing says by which name it was.
        if lockdown::is_on()
            && let Some(target) = wanted["target"].as_object_mut()
        {
            target.remove("path_seen");
        }
        if KNOWN.contains(&way.id) && claim != "not seen" {
            self.settle()?;
        }
        let outcome = self.act(from, &claim, way);
        if let Err(error) = outcome {
            self.scene.restore()?;
            return Err(error);
        }
        let is_actor = |event: &Value| is_child(event) || way.id == BY_NOBODY && event["process"].is_null();
        let matches = |event: &Value| event["kind"] == "alert" && is_like(event, &wanted) && is_actor(event);
        let result = match claim.as_str() {
            "seen" | "partly" => {
                let event = self.daemon.wait_for_from(from, way.id, matches);
                event.map(|event| self.seen.push((from, at(&event, "/process/pid").clone(), wanted.clone())))
            }
            "late" => self.late(from, way.id, &wanted),
            "not seen" => self.silent(from, &wanted),
            other => Err(anyhow!("what is {other}?")),
        };
        self.scene.restore()?;
        result.with_context(|| {
            let messages = self.daemon.seen()[from..].iter().map(|event| format!("\n  {}", event["message"]));
            format!("what came:{}", messages.collect::<String>())
        })
    }

    /// What was done before may have made the directory above anew, and it is known once the daemon has looked. The test renames it back
    /// and forth until that is told.
    fn settle(&mut self) -> Result<()> {
        let (above, aside) = (self.scene.path("above"), self.scene.path("aside"));
        let from = self.daemon.seen().len();
        let deadline = Instant::now() + PATIENCE;
        loop {
            fs::rename(&above, &aside)?;
            fs::rename(&aside, &above)?;
            self.mark()?;
            let mut told = self.daemon.seen()[from..].iter().filter(|event| event["action"] == "rename");
            if told.any(|event| at(event, "/process/pid") == std::process::id()) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the directory above is not known");
        }
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

    /// Whether it is seen at once is a matter of time. If it is not, the same is seen once the daemon has looked.
    fn late(&mut self, from: usize, id: &str, wanted: &Value) -> Result<()> {
        let Some((args, again)) = self.again(id, wanted) else {
            // What ended cannot be done again, and who ended it may not be known.
            return self.daemon.wait_for_from(from, id, |event| is_like(event, wanted)).map(drop);
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.mark()?;
            let mut told = self.daemon.seen()[from..].iter().filter(|event| is_child(event));
            if told.any(|event| is_like(event, wanted) || is_like(event, &again)) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "it is not seen later either");
            must(&program()?, &args)?;
        }
    }

    /// The last step of a way that is seen later, alone, and what is told of it.
    fn again(&self, id: &str, wanted: &Value) -> Option<([String; 3], Value)> {
        let (key, path) = match id {
            REMOVED => return None,
            "open.hard_link_new" => ("path_seen", self.scene.path("fresh")),
            _ => ("path", at(wanted, "/target/path").as_str()?.to_owned()),
        };
        let again = json!({"kind": "alert", "target": {"class": "static_pod_manifest", key: path}});
        Some((["open".to_owned(), path, "w".to_owned()], again))
    }

    /// Does something that is seen for sure, and waits for it.
    fn mark(&mut self) -> Result<()> {
        let (from, marker) = (self.daemon.seen().len(), self.scene.marker());
        must(&program()?, ["tcp", "127.0.0.1", &marker.to_string()])?;
        self.daemon
            .wait_for_from(from, "the marker", |event| at(event, "/target/dst_port") == marker)
            .map(drop)
    }

    /// Something that is seen for sure comes later, and nothing like what is wanted before it.
    fn silent(&mut self, from: usize, wanted: &Value) -> Result<()> {
        self.mark()?;
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
