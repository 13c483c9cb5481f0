//! A daemon whose lines are stamped as they arrive. Unlike the tests' it checks nothing: that would take time of its own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tests::daemon::program;

/// Far longer than anything measured here.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Running {
    child: Child,
    lines: Receiver<Line>,
    /// From its start to its first line, which says that it is armed.
    pub armed_after: Duration,
    pub started: Value,
    _policy: TempDir,
}

pub struct Line {
    pub at: Instant,
    pub text: String,
}

impl Running {
    pub fn start(policy: &str) -> Result<Self> {
        Self::start_with(policy, &[])
    }

    pub fn start_with(policy: &str, args: &[&str]) -> Result<Self> {
        let files = tempfile::tempdir()?;
        let path = files.path().join("policy.yaml");
        fs::write(&path, policy)?;
        let mut command = Command::new(program()?);
        command.args(["run", "--format", "native", "--config"]).arg(path).args(args);
        let begun = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut stdout = BufReader::new(child.stdout.take().context("the daemon has no stdout")?);
        let (sender, lines) = channel();
        thread::spawn(move || {
            loop {
                let mut text = String::new();
                if !matches!(stdout.read_line(&mut text), Ok(length) if length > 0) {
                    return;
                }
                if sender.send(Line { at: Instant::now(), text }).is_err() {
                    return;
                }
            }
        });
        let first = lines.recv_timeout(PATIENCE).context("the daemon does not start")?;
        let started = serde_json::from_str(&first.text)?;
        Ok(Self { child, lines, armed_after: first.at - begun, started, _policy: files })
    }

    pub fn backend(&self) -> &str {
        self.started["lifecycle"]["backend"].as_str().unwrap_or("no")
    }

    pub fn line(&self) -> Result<Line> {
        self.lines.recv_timeout(PATIENCE).context("the daemon says nothing")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it, and returns what it wrote until then.
    pub fn stop(mut self) -> Result<Vec<Line>> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let lines: Vec<_> = self.lines.iter().collect();
        let status = self.child.wait()?;
        ensure!(status.success(), "the daemon ended with {status}");
        Ok(lines)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// A line of /proc/PID/status that is in KiB, as MiB.
pub fn mebibytes(pid: u32, name: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|line| line.trim().strip_suffix("kB")).context("no such line")?;
    Ok(number.trim().parse::<f64>()? / 1024.0)
}

/// Where this is measured: the kernel's version.
pub fn place() -> String {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy().into_owned();
    if tests::node::is_guest() { format!("guest {release}") } else { release }
}
