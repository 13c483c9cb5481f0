//! The end-to-end tests in guests, each with another real kernel.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use self::boot::Options;
use self::initramfs::Job;
use self::kernel::Series;
use crate::build::TestPrograms;
use crate::report::{self, Tally};
use crate::{build, image, paths};

mod boot;
mod cpio;
mod initramfs;
mod kernel;
mod libraries;
mod modules;

#[derive(clap::Args)]
pub struct Args {
    /// The series of the guest's kernel
    #[arg(long, default_value = "all")]
    kernel: Choice,
    /// Show the guest's console while it runs, and the daemon's debug log
    #[arg(long)]
    trace: bool,
    /// Words for the kernel's command line, such as lockdown=confidentiality
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    append: Option<String>,
    /// Names of tests to run, and other arguments of the test program
    #[arg(last = true)]
    filter: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Choice {
    #[value(name = "5.10")]
    V5_10,
    #[value(name = "6.1")]
    V6_1,
    #[value(name = "6.12")]
    V6_12,
    #[value(name = "7.x")]
    V7,
    All,
}

impl Choice {
    fn series(self) -> &'static [Series] {
        match self {
            Self::V5_10 => &kernel::ALL[..1],
            Self::V6_1 => &kernel::ALL[1..2],
            Self::V6_12 => &kernel::ALL[2..3],
            Self::V7 => &kernel::ALL[3..],
            Self::All => &kernel::ALL,
        }
    }
}

impl Args {
    pub fn all() -> Self {
        Self { kernel: Choice::All, trace: false, append: None, filter: Vec::new() }
    }

    /// A kernel that refuses programs which read its memory. The test program finds that out and runs what is for it.
    fn locked_down(kernel: Choice) -> Self {
        Self { kernel, append: Some("lockdown=confidentiality".to_owned()), ..Self::all() }
    }

    /// How its result is called.
    fn guest(&self, series: &Series) -> String {
        let words = self.append.iter().flat_map(|words| ["+", words]);
        ["guest-", series.name].into_iter().chain(words).collect()
    }

    fn options(&self, series: &Series) -> Options {
        Options {
            name: self.guest(series),
            trace: self.trace,
            append: self.append.clone().unwrap_or_default(),
        }
    }
}

/// One that has types enough for programs that see something, and one that has not.
pub fn run_locked_down() -> Result<()> {
    run(&Args::locked_down(Choice::V5_10))?;
    run(&Args::locked_down(Choice::V6_12))
}

pub fn run(args: &Args) -> Result<()> {
    if !cfg!(target_arch = "x86_64") {
        bail!("guests need an x86_64 machine");
    }
    let bypassd = build::daemon(true)?;
    let programs = build::test_programs()?;
    let mut failed = Vec::new();
    // One at a time: a guest has as many CPUs as the machine, and two would miss deadlines.
    for series in args.kernel.series() {
        let started = Instant::now();
        if let Err(error) = guest(series, args, &bypassd, &programs) {
            eprintln!("{}: {error:#}", args.guest(series));
            failed.push(series.name);
        }
        eprintln!("{}: {:.1} s", args.guest(series), started.elapsed().as_secs_f64());
    }
    if !failed.is_empty() {
        bail!("end-to-end tests failed in guests: {}", failed.join(", "));
    }
    Ok(())
}

fn guest(series: &Series, args: &Args, bypassd: &Path, programs: &TestPrograms) -> Result<()> {
    let outcome = boot_once(series, args, bypassd, programs);
    let (tally, exit_code, output) = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            println!("{}: 0 passed, 1 failed", args.guest(series));
            return Err(error);
        }
    };
    let mut tally = tally.unwrap_or_default();
    let fine = exit_code == Some(0) && (!tally.ran_nothing() || !args.filter.is_empty());
    if !fine && tally.failed == 0 {
        tally.failed = 1;
    }
    println!("{}: {tally}", args.guest(series));
    if tally.failed > 0 {
        eprintln!("{}", report::failures(&output));
        let log = log_path(&args.guest(series))?;
        match exit_code {
            Some(code) => bail!("tests failed (exit code {code}), the console is in {}", log.display()),
            None => bail!("the guest stopped before its tests' end, the console is in {}", log.display()),
        }
    }
    Ok(())
}

const NEWEST: &str = "7.x";

/// Subjects in which the kernel makes no difference: they run on this machine and on the newest kernel.
const ANY_KERNEL: [&str; 9] =
    ["bad_input", "commands", "explain", "image", "keys", "lifecycle", "manifests", "policy", "reload"];

/// Subjects that ask the kernel for nothing of their own: they run on this machine alone.
const NO_KERNEL: [&str; 10] =
    ["collect", "dist", "learn", "operations", "output", "posture", "report", "running", "shippers", "soak"];

type Outcome = (Option<Tally>, Option<i32>, String);

fn boot_once(series: &Series, args: &Args, bypassd: &Path, programs: &TestPrograms) -> Result<Outcome> {
    let mut arguments = [&[report::PLAIN.to_owned()], args.filter.as_slice()].concat();
    if args.filter.is_empty() {
        let elsewhere: Vec<_> =
            ANY_KERNEL.iter().filter(|_| series.name != NEWEST).chain(&NO_KERNEL).copied().collect();
        eprintln!("{}: left to other runs: {}", args.guest(series), elsewhere.join(", "));
        arguments.extend(elsewhere.iter().flat_map(|subject| ["--skip".to_owned(), format!("{subject}::")]));
    }
    let files = vec![("/image.tar", image::write(bypassd)?)];
    let job = Job { program: "/bin/e2e", arguments, files };
    let (exit_code, output) = boot_with(series, &job, &args.options(series), bypassd, programs)?;
    Ok((Tally::read(&output), exit_code, output))
}

/// The job's exit code, if it came to its end, and what it wrote.
fn boot_with(
    series: &Series,
    job: &Job,
    options: &Options,
    bypassd: &Path,
    programs: &TestPrograms,
) -> Result<(Option<i32>, String)> {
    let kernel = kernel::get(series)?;
    let archive = paths::target()?.join("vm").join(format!("initramfs-{}.cpio", series.name));
    initramfs::write(&archive, &kernel, bypassd, programs, job)?;
    let log = log_path(&options.name)?;
    boot::boot(&kernel.image, &archive, &log, options)?;
    fs::remove_file(&archive).with_context(|| format!("cannot remove {}", archive.display()))?;
    let console = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
    let output = String::from_utf8_lossy(&console).replace('\r', "");
    let exit_code =
        output.lines().rev().find_map(|line| line.strip_prefix("guest-init: exit code ")?.parse().ok());
    Ok((exit_code, output))
}

/// Runs the benchmarks in a guest and returns what they wrote.
pub fn bench(
    bypassd: &Path,
    programs: &TestPrograms,
    empty: &Path,
    arguments: Vec<String>,
) -> Result<String> {
    let [series] = Choice::V6_12.series() else { bail!("no kernel to measure on") };
    let files = vec![("/bin/bench", programs.bench.clone()), ("/bin/empty.bpf.o", empty.to_owned())];
    let job = Job { program: "/bin/bench", arguments, files };
    match boot_with(
        series,
        &job,
        &Options { name: "bench".to_owned(), ..Options::default() },
        bypassd,
        programs,
    )? {
        (Some(0), output) => Ok(output),
        (_, output) => bail!("the benchmarks in the guest failed:\n{}", report::failures(&output)),
    }
}

fn log_path(name: &str) -> Result<std::path::PathBuf> {
    Ok(paths::target()?.join("vm/log").join(format!("{name}.log")))
}
