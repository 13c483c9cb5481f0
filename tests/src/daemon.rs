//! The daemon under test.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use jsonschema::Validator;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::event::expect;
use crate::node::is_guest;

/// An emulated machine with a cold cache is slow; nothing real takes as long.
fn patience() -> Duration {
    Duration::from_secs(if is_guest() { 120 } else { 30 })
}

/// A running daemon. Its events are checked against its own schema and for gaps as they come.
pub struct Daemon {
    child: Child,
    events: Receiver<String>,
    started: Value,
    /// Events of earlier tests.
    before: usize,
    seen: Vec<Value>,
    alerts_taken: usize,
    files: TempDir,
    /// Whether it may serve another test.
    shared: bool,
}

/// One that waits for the next test: a kernel takes seconds to attach and detach all programs in a guest.
static IDLE: Mutex<Option<Daemon>> = Mutex::new(None);

fn idle() -> MutexGuard<'static, Option<Daemon>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the one that waits, if there is one, and returns its events since the last test.
pub fn end_idle() -> Result<Option<Vec<Value>>> {
    let waiting = idle().take();
    let Some(mut daemon) = waiting else { return Ok(None) };
    daemon.shared = false;
    daemon.finish().map(Some)
}

pub fn program() -> Result<PathBuf> {
    std::env::var_os("BYPASSD_BIN")
        .map(PathBuf::from)
        .context("BYPASSD_BIN names no daemon; run `cargo xtask e2e`")
}

/// Runs a command of the daemon to its end.
pub fn command(args: &[&str]) -> Result<Output> {
    Ok(Command::new(program()?).args(args).stdin(Stdio::null()).output()?)
}

impl Daemon {
    /// One that runs by this policy, whose targets are armed: one that an earlier test left, or a new one.
    pub fn start(policy: &str) -> Result<Self> {
        let waiting = idle().take();
        match waiting {
            Some(mut daemon) => {
                daemon.reload(policy)?;
                daemon.looked_back()?;
                Ok(daemon)
            }
            None => {
                let mut daemon = Self::fresh(policy)?;
                daemon.shared = true;
                daemon.looked_back()?;
                Ok(daemon)
            }
        }
    }

    /// After this all is armed, and told that was held before.
    fn looked_back(&mut self) -> Result<()> {
        let taken = |event: &Value| event["lifecycle"]["state"] == "snapshot_taken";
        self.wait_for("the look at what is held", taken).map(drop)
    }

    /// A new one, which looks back at its start and which the test may end.
    pub fn fresh(policy: &str) -> Result<Self> {
        Self::start_with(Some(policy), &[])
    }

    pub fn start_with(policy: Option<&str>, args: &[&str]) -> Result<Self> {
        Self::start_in(policy, args, &[])
    }

    /// The same in an environment with more variables.
    pub fn start_in(policy: Option<&str>, args: &[&str], envs: &[(&str, &str)]) -> Result<Self> {
        let files = tempfile::tempdir()?;
        let mut command = Command::new(program()?);
        command.args(["run", "--format", "native"]).args(args).envs(envs.iter().copied());
        if let Some(policy) = policy {
            let path = files.path().join("policy.yaml");
            fs::write(&path, policy)?;
            command.arg("--config").arg(path);
        }
        Self::start_by(command, files)
    }

    /// One that a command runs or has run, which hands on its stdout, and signals to it. What it needs of files lives as long.
    pub fn start_by(mut command: Command, files: TempDir) -> Result<Self> {
        let stderr = File::create(files.path().join("stderr"))?;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn()?;
        let stdout = child.stdout.take().context("the daemon has no stdout")?;
        let (sender, events) = channel();
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut daemon = Self {
            child,
            events,
            started: Value::Null,
            before: 0,
            seen: Vec::new(),
            alerts_taken: 0,
            files,
            shared: false,
        };
        daemon.next(deadline())?;
        let first = &daemon.seen[0];
        ensure!(
            first["kind"] == "lifecycle" && first["lifecycle"]["state"] == "started",
            "first event: {first:#}"
        );
        daemon.started = first.clone();
        Ok(daemon)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The event it began with.
    pub fn started(&self) -> &Value {
        &self.started
    }

    /// Lets it go on by another policy, and waits for its word.
    fn reload(&mut self, policy: &str) -> Result<()> {
        fs::write(self.files.path().join("policy.yaml"), policy)?;
        let from = self.seen.len();
        kill_process(Pid::from_child(&self.child), Signal::HUP)?;
        let answered = |event: &Value| {
            ["reloaded", "reload_failed"].map(Value::from).contains(&event["lifecycle"]["state"])
        };
        let answer = self.wait_for_from(from, "the policy to be read", answered)?;
        ensure!(answer["lifecycle"]["state"] == "reloaded", "{answer:#}");
        Ok(())
    }

    /// Every event since the test began.
    pub fn seen(&self) -> &[Value] {
        &self.seen
    }

    /// The next alert about another process than this one, in order: tests change watched directories themselves.
    pub fn alert(&mut self) -> Result<Value> {
        let deadline = deadline();
        loop {
            let mut alerts = self.seen.iter().filter(|event| is_alert(event));
            if let Some(alert) = alerts.nth(self.alerts_taken).cloned() {
                self.alerts_taken += 1;
                return Ok(alert);
            }
            self.next(deadline).context("waiting for an alert")?;
        }
    }

    /// The first event, past or to come, that is as wanted.
    pub fn wait_for(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        self.wait_for_from(0, what, wanted)
    }

    /// The same among events that come after so many.
    pub fn wait_for_from(
        &mut self,
        mut from: usize,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let deadline = deadline();
        loop {
            if let Some(event) = self.seen[from..].iter().find(|event| wanted(event)) {
                return Ok(event.clone());
            }
            from = self.seen.len();
            self.next(deadline).with_context(|| format!("waiting for {what}"))?;
        }
    }

    /// Absence proven: `marker` does something that has to be reported, and its alert is the next one. So the daemon sees,
    /// and what happened before it was seen and found to be fine.
    pub fn silent_until(&mut self, marker: impl FnOnce() -> Result<()>, wanted: &Value) -> Result<()> {
        marker()?;
        expect(&self.alert()?, wanted).context("something came before the marker")
    }

    /// Ends it, or lets it wait for the next test. It writes everything it saw before it stops or takes another policy, so an alert that
    /// was not taken was not expected.
    pub fn finish(mut self) -> Result<Vec<Value>> {
        let taken = self.alerts_taken;
        if self.shared {
            self.reload(&policy("", ""))?;
            check(&self.seen, taken)?;
            let events = std::mem::take(&mut self.seen);
            (self.before, self.alerts_taken) = (self.before + events.len(), 0);
            *idle() = Some(self);
            return Ok(events);
        }
        let (status, events) = self.stop(Signal::TERM)?;
        ensure!(status.success(), "the daemon ended with {status}");
        check(&events, taken)?;
        Ok(events)
    }

    /// Sends a signal, and returns how it ended and all its events.
    pub fn stop(mut self, signal: Signal) -> Result<(ExitStatus, Vec<Value>)> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal)?;
        self.end()
    }

    /// Waits until it ends by itself.
    pub fn end(&mut self) -> Result<(ExitStatus, Vec<Value>)> {
        let deadline = deadline();
        while self.read(deadline)? {}
        // Silent for so long without an end: it hangs, and waiting for it would hang the tests, too.
        let Some(status) = self.child.try_wait_for(patience())? else {
            return Err(self.trouble("the daemon does not end"));
        };
        if std::env::var_os("BYPASSD_LOG").is_some() {
            eprint!("{}", fs::read_to_string(self.files.path().join("stderr")).unwrap_or_default());
        }
        let last = self.seen.last().context("no event")?;
        ensure!(last["lifecycle"]["state"] == "stopping", "last event: {last:#}");
        Ok((status, std::mem::take(&mut self.seen)))
    }

    fn next(&mut self, deadline: Instant) -> Result<()> {
        if self.read(deadline)? { Ok(()) } else { Err(self.trouble("the daemon ended")) }
    }

    /// Takes one event; `false` at the end of the output. The deadline is for what is waited for: heartbeats come all the time.
    fn read(&mut self, deadline: Instant) -> Result<bool> {
        let line = match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => return Err(self.trouble("what was waited for did not come")),
            Err(RecvTimeoutError::Disconnected) => return Ok(false),
        };
        let event: Value = serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))?;
        ensure!(line.len() < 8192, "a line of {} bytes", line.len());
        if let Some(error) = schema()?.iter_errors(&event).next() {
            bail!("{} at {}: {event:#}", error, error.instance_path());
        }
        let count = self.before + self.seen.len();
        ensure!(event["seq"] == count + 1, "seq {} after {count} events", event["seq"]);
        self.seen.push(event);
        Ok(true)
    }

    fn trouble(&self, what: &str) -> anyhow::Error {
        let stderr = fs::read_to_string(self.files.path().join("stderr")).unwrap_or_default();
        let told: Vec<_> = self.seen.iter().map(in_short).collect();
        anyhow!("{what}; {} events so far:\n{}\nstderr: {stderr}", told.len(), told.join("\n"))
    }
}

/// Enough of an event to see where a test went another way.
fn in_short(event: &Value) -> String {
    let parts = [
        &event["time"],
        &event["kind"],
        &event["lifecycle"]["state"],
        &event["health"]["message"],
        &event["action"],
        &event["target"]["path"],
        &event["target"]["dst_ip"],
        &event["process"]["exe"],
        &event["process"]["pid"],
    ];
    let said: Vec<_> = parts.iter().filter(|part| !part.is_null()).map(ToString::to_string).collect();
    said.join(" ")
}

/// Nothing came that was not taken, and nothing was lost.
fn check(events: &[Value], taken: usize) -> Result<()> {
    if let Some(extra) = events.iter().filter(|event| is_alert(event)).nth(taken) {
        bail!("an alert that nobody expected: {extra:#}");
    }
    match events.iter().find(|event| is_loss(event)) {
        Some(loss) => bail!("something was lost: {loss:#}"),
        None => Ok(()),
    }
}

/// A kernel that can be interrupted skips some programs whatever the test does: those of trampolines, and what an interrupt would start
/// in the middle of a kprobe. What a test is about has to be there all the same.
pub fn is_loss(event: &Value) -> bool {
    let mut reasons = event["health"]["lost"].as_object().into_iter().flat_map(|lost| lost.keys());
    let mut skipped = event["health"]["missing"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let is_own = |program: &str| {
        let name = program.split(':').next().unwrap_or(program);
        name.ends_with("_kprobe") && name != "tcp_state_kprobe"
    };
    reasons.any(|reason| reason != "missed_runs") || skipped.any(is_own)
}

/// What follows an alert is no further access.
fn is_alert(event: &Value) -> bool {
    event["kind"] == "alert" && event["follows"].is_null() && event["process"]["pid"] != std::process::id()
}

/// Until when something that is waited for has to come.
fn deadline() -> Instant {
    Instant::now() + patience()
}

/// Waiting with an end.
trait TryWaitFor {
    fn try_wait_for(&mut self, time: Duration) -> Result<Option<ExitStatus>>;
}

impl TryWaitFor for Child {
    fn try_wait_for(&mut self, time: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + time;
        loop {
            let status = self.try_wait()?;
            if status.is_some() || Instant::now() > deadline {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// What `bypassd schema` prints, but strict: an event must not have a property that is not described.
fn schema() -> Result<&'static Validator> {
    static SCHEMA: OnceLock<Validator> = OnceLock::new();
    if let Some(schema) = SCHEMA.get() {
        return Ok(schema);
    }
    let mut schema: Value = serde_json::from_slice(&command(&["schema"])?.stdout)?;
    schema["unevaluatedProperties"] = Value::Bool(false);
    let validator = jsonschema::validator_for(&schema).map_err(|error| anyhow!("{error}"))?;
    Ok(SCHEMA.get_or_init(|| validator))
}

/// A policy with these targets, in YAML's flow style, and rules.
pub fn policy(targets: &str, allow: &str) -> String {
    format!("version: 1\nprofile: none\ntargets: {{{targets}}}\nallow: [{allow}]\n")
}

/// A policy that watches one directory of manifests.
pub fn manifests(path: &Path, allow: &str) -> String {
    policy(&format!("static_pod_manifest: {{paths: [{}]}}", path.display()), allow)
}

/// Targets of a class by their paths, for a policy.
pub fn paths(class: &str, paths: &[&Path]) -> String {
    let paths: Vec<_> = paths.iter().map(|path| format!("\"{}\"", path.display())).collect();
    format!("{class}: {{paths: [{}]}}", paths.join(", "))
}

/// A policy that watches one runtime socket.
pub fn socket(path: &Path, allow: &str) -> String {
    policy(&format!("runtime_api: {{sockets: [{}]}}", path.display()), allow)
}
