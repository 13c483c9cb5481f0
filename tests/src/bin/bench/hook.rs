//! The hook on opens beside an empty program at the same place, by the kernel's own count of the time that programs run.

use std::fs::File;

use anyhow::{Context as _, Result, ensure};
use aya::programs::{FEntry, loaded_programs};
use aya::sys::{Stats, enable_stats};
use aya::{Btf, Ebpf};
use tests::daemon::manifests;

use crate::Effort;
use crate::figure::{Budget, Samples, figure};
use crate::opens::deep_file;
use crate::running::Running;

const EMPTY: &str = "/bin/empty.bpf.o";
const PLACE: &str = "security_file_open";

/// As much of `file_open_fentry` as the kernel keeps.
const OURS: &str = "file_open_fentr";

pub fn measure(effort: Effort) -> Result<()> {
    let (rounds, count) = effort.pick((5, 10_000), (15, 30_000));
    let dir = tempfile::tempdir()?;
    let (file, watched) = (deep_file(dir.path())?, dir.path().join("watched"));
    std::fs::create_dir(&watched)?;
    let open = || (0..count).try_for_each(|_| File::open(&file).map(drop).map_err(anyhow::Error::from));
    let _stats = enable_stats(Stats::RunTime)?;
    let (mut ratios, mut empty, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (nothing, something) = (empty_program(open)?, own_program(&manifests(&watched, ""), open)?);
        ratios.push(something / nothing);
        empty.push(nothing);
        ours.push(something);
    }
    let ratios = Samples::new(ratios);
    let (ours, empty) = (Samples::new(ours).median(), Samples::new(empty).median());
    let note = format!("{ours:.0} ns and {empty:.0} ns a run, {}", ratios.spread());
    figure(
        "hook on opens, no match, and an empty program, `fentry`",
        ratios.median(),
        "x",
        &note,
        &Budget::AtMost(2.0),
    );
    Ok(())
}

/// Nanoseconds a run of the empty program.
fn empty_program(open: impl Fn() -> Result<()>) -> Result<f64> {
    let mut ebpf = Ebpf::load_file(EMPTY)?;
    let program: &mut FEntry = ebpf.program_mut("empty").context("no empty program")?.try_into()?;
    program.load(PLACE, &Btf::from_sys_fs()?)?;
    program.attach()?;
    open()?;
    let info = program.info()?;
    per_run(info.run_time().as_secs_f64(), info.run_count())
}

/// The same of the daemon's.
fn own_program(policy: &str, open: impl Fn() -> Result<()>) -> Result<f64> {
    let daemon = Running::start(policy)?;
    let so_far = used()?;
    open()?;
    let (time, runs) = used()?;
    daemon.stop()?;
    per_run(time - so_far.0, runs - so_far.1)
}

fn used() -> Result<(f64, u64)> {
    for program in loaded_programs() {
        let program = program?;
        if program.name_as_str() == Some(OURS) {
            return Ok((program.run_time().as_secs_f64(), program.run_count()));
        }
    }
    anyhow::bail!("the daemon has no hook on opens");
}

#[expect(clippy::cast_precision_loss, reason = "some thousands")]
fn per_run(seconds: f64, runs: u64) -> Result<f64> {
    ensure!(runs > 0, "the program did not run");
    Ok(seconds * 1e9 / runs as f64)
}
