//! What the daemon may do, and what becomes of it with less.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use super::trials;
use crate::actor::act;
use crate::daemon::{Daemon, manifests, program};
use crate::event::at;

pub fn all() -> Vec<Trial> {
    trials(
        "privileges",
        &[
            ("given_up", given_up),
            ("enough", enough),
            ("without_one", without_one),
            ("without_those_for_programs", without_those_for_programs),
        ],
    )
}

const DAC_READ_SEARCH: u32 = 2;
const SYS_PTRACE: u32 = 19;
const SYS_ADMIN: u32 = 21;
const SYS_RESOURCE: u32 = 24;
const PERFMON: u32 = 38;
const BPF: u32 = 39;

/// As the manifests that are shipped give them, and for fanotify in the `syscall` backend.
const SHIPPED: [u32; 6] = [DAC_READ_SEARCH, SYS_PTRACE, SYS_ADMIN, SYS_RESOURCE, PERFMON, BPF];

fn set(capabilities: &[u32]) -> u64 {
    capabilities.iter().fold(0, |set, capability| set | 1 << capability)
}

/// Every thread has given up what it does not need, and can gain nothing.
fn given_up() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut daemon = Daemon::fresh(&manifests(dir.path(), ""))?;
    act(["open", &dir.path().join("a.yaml").to_string_lossy(), "create"])?;
    daemon.alert()?;
    let most = set(&[DAC_READ_SEARCH, SYS_PTRACE, SYS_ADMIN, BPF]);
    for thread in fs::read_dir(format!("/proc/{}/task", daemon.pid()))? {
        // A thread may end meanwhile.
        let Ok(status) = fs::read_to_string(thread?.path().join("status")) else { continue };
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        for name in ["CapEff:", "CapPrm:", "CapInh:", "CapBnd:", "CapAmb:"] {
            let held = u64::from_str_radix(field(name).context("no such line")?, 16)?;
            ensure!(held & !most == 0, "{name} {held:x} in {status}");
        }
        ensure!(field("NoNewPrivs:") == Some("1"), "{status}");
    }
    daemon.finish().map(drop)
}

/// Runs the daemon for a moment with these capabilities alone.
fn run_with(capabilities: &[u32], dir: &Path) -> Result<Output> {
    let policy = dir.join("policy.yaml");
    fs::write(&policy, manifests(&dir.join("manifests"), ""))?;
    let kept = set(capabilities);
    let mut command = Command::new(program()?);
    command.args(["run", "--format", "native", "--duration", "1s", "--config"]).arg(&policy);
    // SAFETY: only system calls are made, and nothing is allocated unless one fails.
    unsafe {
        command.pre_exec(move || {
            for capability in (0..64).filter(|capability| kept & 1 << capability == 0) {
                // SAFETY: the call takes numbers only. The kernel may not know the capability.
                let dropped = libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
                if dropped != 0 && io::Error::last_os_error().raw_os_error() != Some(libc::EINVAL) {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        })
    };
    Ok(command.output()?)
}

fn first(output: &Output) -> Result<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok(serde_json::from_str(line)?)
}

fn scene() -> Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    fs::create_dir(dir.path().join("manifests"))?;
    Ok(dir)
}

/// With what is shipped, as much is seen as with all.
fn enough() -> Result<()> {
    let dir = scene()?;
    let all: Vec<u32> = (0..64).collect();
    let (all, shipped) = (first(&run_with(&all, dir.path())?)?, first(&run_with(&SHIPPED, dir.path())?)?);
    for field in ["backend", "hooks", "hooks_missing", "targets_armed", "coverage_gaps"] {
        let field = format!("/lifecycle/{field}");
        ensure!(
            at(&all, &field) == at(&shipped, &field),
            "{field}: {:#} is {:#}",
            at(&all, &field),
            at(&shipped, &field)
        );
    }
    Ok(())
}

/// What is missing then is said in the first event.
fn without_one() -> Result<()> {
    let dir = scene()?;
    for (lacking, name) in [
        (SYS_PTRACE, "CAP_SYS_PTRACE"),
        (DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"),
        (SYS_ADMIN, "CAP_SYS_ADMIN"),
    ] {
        let kept: Vec<u32> = SHIPPED.into_iter().filter(|capability| *capability != lacking).collect();
        let output = run_with(&kept, dir.path())?;
        let gaps = at(&first(&output).with_context(|| name)?, "/lifecycle/coverage_gaps").to_string();
        ensure!(gaps.contains(&format!("without {name}: ")), "{name}: {gaps}");
    }
    Ok(())
}

/// Nothing is seen then: the daemon says in one sentence what to give it.
fn without_those_for_programs() -> Result<()> {
    let dir = scene()?;
    for (lacking, name) in [(BPF, "CAP_BPF"), (PERFMON, "CAP_PERFMON")] {
        // This one has both in it.
        let kept: Vec<u32> =
            SHIPPED.into_iter().filter(|capability| ![lacking, SYS_ADMIN].contains(capability)).collect();
        let output = run_with(&kept, dir.path())?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(3), "{name}: {}: {stderr}", output.status);
        ensure!(output.stdout.is_empty(), "{name}: it says it started");
        let last = stderr.lines().last().unwrap_or_default();
        ensure!(last.contains(&format!("run as root, or with {name}")), "{name}: {stderr}");
    }
    Ok(())
}
