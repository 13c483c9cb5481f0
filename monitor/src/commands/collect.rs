//! `bypassd collect`: posture, a run, and the report of both, into one directory with checksums. Each step is a child of its own, so what
//! one cannot do the others can.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, IsTerminal as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use tokio::process::{Child, Command};

use super::run::Signals;
use super::{CommandError, complain, print, report};
use crate::cli::{self, Collect};
use crate::config;
use crate::emit::SinkError;
use crate::exit::Exit;
use crate::hash::Digest;

const POSTURE: &str = "posture.ndjson";
const EVENTS: &str = "events.ndjson";
const REPORT: &str = "report.html";
const COLLECTION: &str = "collection.json";
/// As sha256sum(1) reads it.
const SUMS: &str = "SHA256SUMS";

/// What was done, for whoever gets the directory.
#[derive(Debug, Serialize)]
struct Collection {
    version: &'static str,
    node: String,
    started: String,
    ended: String,
    steps: Vec<Step>,
}

#[derive(Debug, Serialize)]
struct Step {
    command: Vec<String>,
    started: String,
    ended: String,
    /// None if a signal ended it.
    exit_code: Option<i32>,
}

pub(super) fn collect(opts: &Collect) -> Result<Exit, CommandError> {
    // Each step reads it, too, but then there would be a directory with nothing but what they say of it.
    config::load(opts.config.as_deref())?;
    let dir = opts.output.as_path();
    make(dir)?;
    let started = now();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed("cannot start the runtime"))?;
    let steps = runtime.block_on(watch(opts))?;
    complain("making the report");
    let exit = finish(dir, &steps)?;
    let ended = now();
    let node = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let version = env!("CARGO_PKG_VERSION");
    let collection = Collection { version, node, started, ended, steps };
    let text = serde_json::to_vec_pretty(&collection)
        .map_err(|error| failed("cannot write what was done")(error.into()))?;
    create(&dir.join(COLLECTION))?.write_all(&text).map_err(failed("cannot write what was done"))?;
    let sums = sums(dir)?;
    create(&dir.join(SUMS))?.write_all(sums.as_bytes()).map_err(failed("cannot write the checksums"))?;
    complain(&format!("{SUMS} has the hash {}", crate::hash::sha256(sums.as_bytes())));
    print(&format!("{}\n", dir.display()))?;
    Ok(exit)
}

/// The posture comes first: a run would tell of the files that it reads.
async fn watch(opts: &Collect) -> Result<Vec<Step>, CommandError> {
    let mut signals = Signals::new().map_err(failed("cannot listen for signals"))?;
    let config = opts.config.iter().flat_map(|path| ["--config".to_owned(), path.display().to_string()]);
    let words = |words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned());
        words.chain(config.clone()).collect::<Vec<_>>()
    };
    complain("looking how far the doors are shut");
    let posture =
        step(&opts.output, POSTURE, words(&["posture", "--format", "native"]), &mut signals, None).await?;
    if posture.exit_code.is_none() {
        return Ok(vec![posture]);
    }
    let time = opts.duration;
    complain(&format!(
        "looking who holds a door, and watching for {} s; Ctrl-C ends it early",
        time.as_secs()
    ));
    let duration = format!("{}s", time.as_secs().max(1));
    let run = words(&["run", "--format", "native", "--duration", &duration]);
    let run = step(&opts.output, EVENTS, run, &mut signals, Some(time)).await?;
    Ok(vec![posture, run])
}

/// Runs this program again, its answer and what it has to say in files beside each other.
async fn step(
    dir: &Path,
    file: &str,
    command: Vec<String>,
    signals: &mut Signals,
    time: Option<Duration>,
) -> Result<Step, CommandError> {
    let started = now();
    let path = dir.join(file);
    let (answer, log) = (create(&path)?, create(&path.with_extension("log"))?);
    // Not by its path: a responder may have removed what was copied here.
    let mut child = Command::new("/proc/self/exe")
        .arg0("bypassd")
        .args(&command)
        .stdin(Stdio::null())
        .stdout(answer)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed("cannot start a step"))?;
    let status = end(&mut child, signals, time).await.map_err(failed("cannot wait for a step"))?;
    // 1 means that something was found, which is what the answer is about.
    if !matches!(status.code(), Some(0 | 1)) {
        let text = fs::read_to_string(path.with_extension("log")).unwrap_or_default();
        let why = text.lines().last().unwrap_or_default();
        complain(&format!("{} ended with {status}: {}", command.join(" "), crate::event::text::escaped(why)));
    }
    Ok(Step { command, started, ended: now(), exit_code: status.code() })
}

/// Waits for a child, which a signal lets end early and in order.
async fn end(child: &mut Child, signals: &mut Signals, time: Option<Duration>) -> io::Result<ExitStatus> {
    let begun = Instant::now();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let shown = time.filter(|_| io::stderr().is_terminal());
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            _ = signals.received() => {
                let pid = child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
                if let Some(pid) = pid {
                    kill_process(pid, Signal::TERM)?;
                }
            }
            _ = second.tick(), if shown.is_some() => {
                let left = shown.unwrap_or_default().saturating_sub(begun.elapsed()).as_secs();
                let _unheard = write!(io::stderr().lock(), "\r{left:>6} s left ");
            }
        }
    };
    if shown.is_some() {
        let _unheard = write!(io::stderr().lock(), "\r{:14}\r", "");
    }
    Ok(status)
}

/// The report of what there is, and how it all ends.
fn finish(dir: &Path, steps: &[Step]) -> Result<Exit, CommandError> {
    let is_there = |path: &PathBuf| fs::metadata(path).is_ok_and(|file| file.len() > 0);
    let files: Vec<_> = [EVENTS, POSTURE].map(|name| dir.join(name)).into_iter().filter(is_there).collect();
    if !files.is_empty() {
        report::report(&cli::Report { files, output: dir.join(REPORT), force: false })?;
    }
    let codes = steps.iter().map(|step| step.exit_code);
    let worst = codes.map(|code| match code {
        Some(0 | 1) => Exit::Fine,
        Some(2) => Exit::Usage,
        Some(3) => Exit::Unsupported,
        _ => Exit::Failure,
    });
    Ok(worst.max_by_key(|exit| *exit as u8).unwrap_or(Exit::Failure))
}

/// A line for each file, by name.
fn sums(dir: &Path) -> Result<String, CommandError> {
    let failed = failed("cannot read what was collected");
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(&failed)? {
        names.push(entry.map_err(&failed)?.file_name());
    }
    names.sort();
    let mut text = String::new();
    for name in names {
        let file = File::open(dir.join(&name)).map_err(&failed)?;
        let digest = Digest::of(&mut BufReader::new(file)).map_err(&failed)?;
        text += &format!("{digest}  {}\n", name.display());
    }
    Ok(text)
}

/// Nothing that was collected before is mixed with it.
fn make(dir: &Path) -> Result<(), CommandError> {
    let wrong = |why: String| Err(SinkError::new(dir, why).into());
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            wrong("it exists; name a directory that is made now".to_owned())
        }
        Err(error) => wrong(error.to_string()),
    }
}

/// Only its owner can read it: there are command lines in it.
fn create(path: &Path) -> Result<File, CommandError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.map_err(|error| SinkError::new(path, error.to_string()).into())
}

fn now() -> String {
    Timestamp::now().to_string()
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> CommandError {
    move |source| CommandError::Io { doing, source }
}
