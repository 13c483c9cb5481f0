//! `bypassd selftest`: it passes where the hooks work, and fails where they do not.

use std::collections::BTreeSet;
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

fn seen_everything(output: &Output) -> Result<(Vec<Value>, Value)> {
    ensure!(output.status.success(), "{output:?}");
    ensure!(output.stderr.is_empty(), "{output:?}");
    let (lines, summary) = report(output)?;
    for way in ["open.read", "open.create", "open.hard_link", "unix.stream", "tcp.connect"] {
        ensure!(result(&lines, way)? == "seen", "{way}: {output:?}");
    }
    for line in lines.iter().filter(|line| line["result"] == "seen") {
        let (latency, kernel) = (line["latency_ms"].as_f64(), line["kernel_ms"].as_f64());
        let (latency, kernel) = (latency.context("no latency")?, kernel.context("no kernel's time")?);
        ensure!(kernel > 0.0 && latency >= kernel, "{line}");
    }
    Ok((lines, summary))
}

fn passes() -> Result<()> {
    seen_everything(&command(&["selftest", "--format", "json"])?).map(drop)
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
        let (lines, summary) = seen_everything(&output)?;
        ensure!(summary["backend"] == backend, "{summary}");
        for way in ["change.rename_in", "change.unlink", "change.chown"] {
            let result = result(&lines, way)?;
            // fanotify does not know every file system of an old kernel.
            ensure!(result == "seen" || backend == "syscall" && result == "skipped", "{way}: {output:?}");
        }
        let wanted = if backend == "syscall" { "skipped" } else { "seen" };
        ensure!(result(&lines, "mount.tmpfs")? == wanted, "{output:?}");
    }
    Ok(())
}

fn text() -> Result<()> {
    let output = command(&["selftest"])?;
    ensure!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().find(|line| line.starts_with("open.read ")).context("no line")?;
    ensure!(line.contains(" seen ") && line.ends_with("open for reading"), "{line}");
    ensure!(text.lines().last().is_some_and(|line| line.contains(" came back")), "{text}");
    Ok(())
}

/// As in a container that shares the node's processes.
fn other_mount_namespace() -> Result<()> {
    let line = format!("unshare -m {} selftest --format json", program()?.display());
    let output = shell_output(&line)?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(3) && stderr.contains("CAP_SYS_PTRACE") && !is_guest() {
        bail!(Skip("process 1 cannot be looked into"));
    }
    let (lines, _) = seen_everything(&output)?;
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
    let test = || command(&["selftest", "--format", "json", "--backend", "kprobe"]);
    fs::write(switch, "0")?;
    let blind = test();
    fs::write(switch, "1")?;
    let blind = blind?;
    ensure!(blind.status.code() == Some(1), "{blind:?}");
    let (lines, summary) = report(&blind)?;
    for way in ["open.read", "open.create", "change.rename_in", "unix.stream", "tcp.connect"] {
        ensure!(result(&lines, way)? == "not_seen", "{way}: {blind:?}");
    }
    ensure!(summary["not_seen"].as_u64().is_some_and(|count| count >= 5), "{summary}");
    seen_everything(&test()?).map(drop)
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
