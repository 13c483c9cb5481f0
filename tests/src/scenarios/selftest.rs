//! `bypassd selftest`: it passes where the hooks work, and fails where they do not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{PipeReader, Read as _, Write as _, pipe};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Skip, trials};
use crate::actor::{run_as_nobody, shell_output};
use crate::daemon::{command, program};
use crate::event::at;
use crate::node::{is_guest, is_preemptible};

pub fn all() -> Vec<Trial> {
    trials(
        "selftest",
        &[
            ("passes", passes),
            ("passes_with_each_backend", passes_with_each_backend),
            ("text", text),
            ("other_mount_namespace", other_mount_namespace),
            ("hooks_switched_off", hooks_switched_off),
            ("without_root", without_root),
            ("stopped_halfway", stopped_halfway),
        ],
    )
}

/// Its lines, and the last one by itself.
fn report(output: &Output) -> Result<(Vec<Value>, Value)> {
    let text = std::str::from_utf8(&output.stdout)?;
    let lines = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>();
    let mut lines = lines.with_context(|| format!("{output:?}"))?;
    let last = lines.pop().with_context(|| format!("{output:?}"))?;
    Ok((lines, at(&last, "/summary").clone()))
}

/// What came of a way.
fn result<'a>(lines: &'a [Value], way: &str) -> Result<&'a str> {
    let line = lines.iter().find(|line| line["way"] == way).with_context(|| format!("no {way}"))?;
    line["result"].as_str().context("no result")
}

fn seen_everything(output: &Output, ways: &[&str]) -> Result<(Vec<Value>, Value)> {
    ensure!(output.status.success(), "{output:?}");
    ensure!(output.stderr.is_empty(), "{output:?}");
    let (lines, summary) = report(output)?;
    for way in ways {
        ensure!(result(&lines, way)? == "seen", "{way}: {output:?}");
    }
    for line in lines.iter().filter(|line| line["result"] == "seen") {
        let (latency, kernel) = (line["latency_ms"].as_f64(), line["kernel_ms"].as_f64());
        let (latency, kernel) = (latency.context("no latency")?, kernel.context("no kernel's time")?);
        ensure!(kernel > 0.0 && latency >= kernel, "{line}");
    }
    Ok((lines, summary))
}

const SOME: [&str; 7] = [
    "open.read",
    "open.create",
    "open.hard_link",
    "open.inherited",
    "unix.stream",
    "unix.refused",
    "tcp.connect",
];

/// The backend that the daemon chooses; only ways that are named.
fn passes() -> Result<()> {
    let (lines, _) =
        seen_everything(&command(&[&["selftest", "--format", "json"], &SOME[..]].concat())?, &SOME)?;
    let other = lines.iter().find(|line| {
        let way = line["way"].as_str().unwrap_or_default();
        !SOME.iter().any(|begin| way.starts_with(begin))
    });
    ensure!(other.is_none(), "{other:?} was not asked for");
    let unknown = command(&["selftest", "open.sesame"])?;
    ensure!(unknown.status.code() == Some(2), "{unknown:?}");
    ensure!(String::from_utf8_lossy(&unknown.stderr).contains("open.sesame"), "{unknown:?}");
    Ok(())
}

/// Where the backend does not attach it says so, and uses no other. A kernel that can be interrupted may skip what the others would see.
fn passes_with_each_backend() -> Result<()> {
    let backends: &[&str] = if is_preemptible() { &["kprobe"] } else { &["fentry", "kprobe", "syscall"] };
    for &backend in backends {
        let output = command(&["selftest", "--format", "json", "--backend", backend])?;
        if !is_guest() && backend != "syscall" && output.status.code() == Some(3) {
            ensure!(output.stdout.is_empty(), "{output:?}");
            continue;
        }
        let (lines, summary) = seen_everything(&output, &SOME)?;
        ensure!(summary["backend"] == backend, "{summary}");
        for way in ["change.rename_in", "change.unlink", "change.chown"] {
            let result = result(&lines, way)?;
            // fanotify does not know every file system of an old kernel.
            ensure!(result == "seen" || backend == "syscall" && result == "skipped", "{way}: {output:?}");
        }
        let wanted = if backend == "syscall" { "skipped" } else { "seen" };
        ensure!(result(&lines, "mount.tmpfs")? == wanted, "{output:?}");
        as_the_table_says(&lines, &summary, backend)?;
    }
    Ok(())
}

/// Ways that a kernel may be too old for, or be built or set up without.
const OPTIONAL: &[&str] = &[
    "uring",
    "overlay",
    "user_namespace",
    "network_namespace",
    "handle",
    "mptcp",
    "mapped",
    "fast_open",
    "own_address",
    "setxattr",
];

/// Each way of the table is there once, and what came of it is what the table says of the backend.
fn as_the_table_says(lines: &[Value], summary: &Value, backend: &str) -> Result<()> {
    let table = String::from_utf8(command(&["list", "coverage"])?.stdout)?;
    let column = ["fentry", "lockdown", "kprobe", "syscall"].iter().position(|name| *name == backend);
    let column = column.context("no column")? + 1;
    let mut counts = BTreeMap::<&str, u64>::new();
    for row in table.lines().skip(1) {
        let cells: Vec<_> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        let (way, claim) = (*cells.first().context("no way")?, *cells.get(column).context("no claim")?);
        let told: Vec<_> = lines.iter().filter(|line| line["way"] == way).collect();
        let result = match told[..] {
            // What no backend sees is nothing to test, nor is what is not tried anyway.
            [] if claim == "not seen" => continue,
            [line] => line["result"].as_str().context("no result")?,
            _ => bail!("{way} is there {} times", told.len()),
        };
        // A mount where only the test sees it is none of the node; nor does every kernel tell of changes.
        let untold =
            backend == "syscall" && ["mount.", "change."].iter().any(|subject| way.starts_with(subject));
        let may_be_skipped = untold || OPTIONAL.iter().any(|word| way.contains(word));
        let fits = match claim {
            "seen" | "partly" => {
                matches!(result, "seen" | "not_tried") || result == "skipped" && may_be_skipped
            }
            "late" => matches!(result, "skipped" | "not_tried"),
            _ => result == "not_covered",
        };
        ensure!(fits, "{way} is {claim} by the table: {told:?}");
        *counts.entry(result).or_default() += 1;
    }
    for result in ["seen", "not_covered", "skipped", "not_tried"] {
        let count = counts.get(result).copied().unwrap_or_default();
        ensure!(summary[result] == count, "{count} ways are {result}: {summary}");
    }
    let not_tried = lines.iter().filter(|line| line["result"] == "not_tried");
    for line in not_tried.clone() {
        ensure!(line["why"].as_str().is_some_and(|why| !why.is_empty()), "{line}");
    }
    ensure!(not_tried.count() <= 13 && counts.get("seen").is_some_and(|seen| *seen > 30), "{summary}");
    Ok(())
}

fn text() -> Result<()> {
    let output = command(&["selftest", "open.read"])?;
    ensure!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().find(|line| line.starts_with("open.read ")).context("no line")?;
    ensure!(line.contains(" seen ") && line.ends_with("open for reading"), "{line}");
    ensure!(text.lines().last().is_some_and(|line| line.contains(" came back")), "{text}");
    Ok(())
}

/// As in a container that shares the node's processes.
fn other_mount_namespace() -> Result<()> {
    let ways = "open unix tcp.connect mount.tmpfs";
    let line = format!("unshare -m {} selftest --format json {ways}", program()?.display());
    let output = shell_output(&line)?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(3) && stderr.contains("CAP_SYS_PTRACE") && !is_guest() {
        bail!(Skip("process 1 cannot be looked into"));
    }
    let (lines, _) =
        seen_everything(&output, &["open.read", "open.inherited", "unix.stream", "tcp.connect"])?;
    // Its name is looked up where the process was.
    ensure!(result(&lines, "unix.refused")? == "skipped", "{output:?}");
    // What is mounted there is not the process's to cover.
    ensure!(result(&lines, "mount.tmpfs")? != "seen", "{output:?}");
    Ok(())
}

/// Someone switched the hooks off.
fn hooks_switched_off() -> Result<()> {
    let switch = Path::new("/sys/kernel/debug/kprobes/enabled");
    if !switch.exists() {
        bail!(Skip("the kernel has no kprobes"));
    }
    const WAYS: [&str; 5] = ["open.read", "open.create", "change.rename_in", "unix.stream", "tcp.connect"];
    let test = || command(&[&["selftest", "--format", "json", "--backend", "kprobe"], &WAYS[..]].concat());
    fs::write(switch, "0")?;
    let blind = test();
    fs::write(switch, "1")?;
    let blind = blind?;
    ensure!(blind.status.code() == Some(1), "{blind:?}");
    let (lines, summary) = report(&blind)?;
    for way in WAYS {
        ensure!(result(&lines, way)? == "not_seen", "{way}: {blind:?}");
    }
    ensure!(summary["not_seen"].as_u64().is_some_and(|count| count >= 5), "{summary}");
    seen_everything(&test()?, &WAYS).map(drop)
}

fn without_root() -> Result<()> {
    let output = run_as_nobody(&program()?, ["selftest"])?;
    ensure!(output.status.code() == Some(3), "{output:?}");
    ensure!(output.stdout.is_empty(), "{output:?}");
    ensure!(String::from_utf8_lossy(&output.stderr).contains("run as root"), "{output:?}");
    Ok(())
}

/// Nothing of it is left, however it ends.
fn stopped_halfway() -> Result<()> {
    let before = scenes();
    let (mut reader, writer) = full_pipe()?;
    let errors = tempfile::NamedTempFile::new()?;
    let mut child = Command::new(program()?)
        .arg("selftest")
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(errors.reopen()?)
        .spawn()?;
    // It cannot get past its first line, so it is still there.
    let scene = wait_for("its directory", || scenes().difference(&before).next().cloned())?;
    kill_process(Pid::from_child(&child), Signal::TERM)?;
    reader.read_to_end(&mut Vec::new())?;
    let status = child.wait()?;
    let errors = fs::read_to_string(errors.path())?;
    ensure!(status.code() == Some(4) && errors.contains("SIGTERM"), "{status}: {errors}");
    ensure!(!scene.exists(), "{} is left", scene.display());
    Ok(())
}

/// A pipe that takes nothing until someone reads.
fn full_pipe() -> Result<(PipeReader, File)> {
    let (reader, writer) = pipe()?;
    let mut writer = File::from(std::os::fd::OwnedFd::from(writer));
    let blocking = rustix::fs::fcntl_getfl(writer.as_fd())?;
    rustix::fs::fcntl_setfl(writer.as_fd(), blocking | rustix::fs::OFlags::NONBLOCK)?;
    while writer.write(&[0; 4096]).is_ok() {}
    rustix::fs::fcntl_setfl(writer.as_fd(), blocking)?;
    Ok((reader, writer))
}

/// The directories of self-tests that run now.
fn scenes() -> BTreeSet<PathBuf> {
    ["/run", "/dev/shm", "/tmp"]
        .iter()
        .filter_map(|parent| fs::read_dir(parent).ok())
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().contains("/bypassd-selftest-"))
        .collect()
}

fn wait_for<T>(what: &str, look: impl Fn() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        ensure!(Instant::now() < deadline, "waiting for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
