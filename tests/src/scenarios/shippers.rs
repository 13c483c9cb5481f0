//! The shipped configurations of log shippers, of which Debian has one.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::output::{Scene, parsed};
use super::trials;
use crate::node::{wait_until, which};

pub fn all() -> Vec<Trial> {
    trials("shippers", &[("rsyslog", rsyslog)])
}

const RSYSLOG: &str = include_str!("../../../deploy/shippers/rsyslog.conf");

/// A SIEM that takes lines.
struct Siem {
    port: u16,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Siem {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let siem = Self { port: listener.local_addr()?.port(), lines: Arc::default() };
        let lines = Arc::clone(&siem.lines);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let lines = Arc::clone(&lines);
                thread::spawn(move || {
                    let new = BufReader::new(stream).lines().map_while(Result::ok);
                    new.for_each(|line| lock(&lines).push(line));
                });
            }
        });
        Ok(siem)
    }

    fn count(&self) -> usize {
        lock(&self.lines).len()
    }
}

fn lock(lines: &Mutex<Vec<String>>) -> MutexGuard<'_, Vec<String>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

/// rsyslogd with nothing but the shipped file, and what it keeps between two runs.
struct Rsyslog {
    dir: TempDir,
    running: Option<Child>,
}

impl Rsyslog {
    fn new(events: &Path, port: u16) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut config = format!("global(workDirectory=\"{}\")\n{RSYSLOG}", dir.path().display());
        for (shipped, here) in [
            ("/var/log/bypassd/events.*", format!("{}.*", events.display())),
            ("siem.example.com", "127.0.0.1".to_owned()),
            ("6514", port.to_string()),
        ] {
            let quoted = |text: &str| format!("\"{text}\"");
            ensure!(config.contains(&quoted(shipped)), "no {shipped} in {config}");
            config = config.replace(&quoted(shipped), &quoted(&here));
        }
        fs::write(dir.path().join("rsyslog.conf"), config)?;
        Ok(Self { dir, running: None })
    }

    fn start(&mut self) -> Result<()> {
        let path = |name| self.dir.path().join(name);
        let mut command = Command::new(which("rsyslogd")?);
        command.arg("-n").arg("-f").arg(path("rsyslog.conf")).arg("-i").arg(path("pid"));
        let log = fs::File::options().create(true).append(true).open(path("log"))?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        self.running = Some(child);
        Ok(())
    }

    fn stop(&mut self) -> Result<()> {
        if let Some(mut child) = self.running.take() {
            kill_process(Pid::from_child(&child), Signal::TERM)?;
            let status = child.wait()?;
            let log = fs::read_to_string(self.dir.path().join("log"))?;
            ensure!(status.success(), "{status}: {log}");
        }
        Ok(())
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        if let Some(child) = &mut self.running {
            // It may have ended by itself.
            let _gone = child.kill();
            let _gone = child.wait();
        }
    }
}

/// How many files there are, and how many events in them.
fn written(scene: &Scene) -> Result<(usize, usize)> {
    let (mut files, mut events) = (0, 0);
    for entry in fs::read_dir(scene.output.parent().unwrap_or(&scene.output))? {
        let entry = entry?;
        // The other is a link to the latest of them.
        if entry.file_type()?.is_file() {
            files += 1;
            events += fs::read_to_string(entry.path())?.lines().count();
        }
    }
    Ok((files, events))
}

/// Nothing is lost and nothing doubled, over rotations while it runs and while it does not.
fn rsyslog() -> Result<()> {
    let siem = Siem::start()?;
    let mut scene = Scene::start(&["--format", "native", "--output-max-size", "1M", "--output-keep", "90"])?;
    let mut rsyslog = Rsyslog::new(&scene.output, siem.port)?;
    rsyslog.start()?;
    let mut made = 0..;
    let mut write_until = |what: &str, done: &dyn Fn() -> Result<bool>| -> Result<()> {
        for index in made.by_ref() {
            fs::write(scene.watched.join(format!("{index}.yaml")), "kind: Pod\n")?;
            if index % 20 == 0 && done()? {
                return Ok(());
            }
            ensure!(index < 20_000, "in vain: {what}");
        }
        Ok(())
    };
    write_until("rotated while it runs", &|| Ok(written(&scene)?.0 > 2 && siem.count() > 0))?;
    rsyslog.stop()?;
    let (files, _) = written(&scene)?;
    let before = siem.count();
    write_until("rotated while it does not run", &|| Ok(written(&scene)?.0 > files + 1))?;
    ensure!(siem.count() == before, "who sends?");
    rsyslog.start()?;
    let (files, _) = written(&scene)?;
    write_until("rotated while it runs again", &|| Ok(written(&scene)?.0 > files))?;
    ensure!(scene.stop()?.success());
    let (_, events) = written(&scene)?;
    let all: BTreeSet<_> = (1..=events as u64).collect();
    let received = || -> Result<Vec<Value>> { parsed(&lock(&siem.lines).join("\n")) };
    let there = || received().is_ok_and(|received| seqs(&received) == all);
    wait_until("all that was written is there", there)?;
    rsyslog.stop()?;
    let received = received()?;
    ensure!(received.len() == events, "{} of {events} events", received.len());
    Ok(())
}

fn seqs(received: &[Value]) -> BTreeSet<u64> {
    received.iter().filter_map(|event| event["seq"].as_u64()).collect()
}
