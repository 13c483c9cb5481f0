//! The end-to-end tests in guests, each with another real kernel.

use std::collections::VecDeque;
use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use self::boot::Options;
use self::initramfs::{Init, Job};
use self::kernel::Series;
use crate::build::TestPrograms;
use crate::report::{self, Tally};
use crate::{build, image, paths};

mod boot;
mod cpio;
mod emulation;
mod initramfs;
mod kernel;
mod libraries;
mod modules;
mod subjects;
mod systemd;

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
    /// Let this machine's systemd be the guest's process 1: for the tests of the unit
    #[arg(long)]
    systemd: bool,
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
    fn of(kernel: Choice) -> Self {
        Self { kernel, trace: false, append: None, systemd: false, filter: Vec::new() }
    }

    /// A kernel that refuses programs which read its memory. The test program finds that out and runs what is for it.
    fn locked_down(kernel: Choice) -> Self {
        Self { append: Some("lockdown=confidentiality".to_owned()), ..Self::of(kernel) }
    }

    /// One where bypassd is a service of a real service manager. The test program finds that out, too.
    fn under_systemd(kernel: Choice) -> Self {
        Self { systemd: true, ..Self::of(kernel) }
    }

    fn guests(&self) -> impl Iterator<Item = Guest<'_>> {
        self.kernel.series().iter().map(move |series| Guest { series, args: self })
    }
}

/// One boot of one kernel.
struct Guest<'a> {
    series: &'static Series,
    args: &'a Args,
}

impl Guest<'_> {
    /// How its result is called.
    fn name(&self) -> String {
        let systemd = self.args.systemd.then_some("systemd");
        let words = self.args.append.as_deref().into_iter().chain(systemd).flat_map(|words| ["+", words]);
        ["guest-", self.series.name].into_iter().chain(words).collect()
    }

    fn options(&self) -> Options {
        Options {
            name: self.name(),
            trace: self.args.trace,
            append: self.args.append.clone().unwrap_or_default(),
        }
    }
}

/// Every kernel, the longest run first; and locked down, one that has types enough for programs that see something and one that has not.
pub fn run_all() -> Result<()> {
    let args = [
        Args::of(Choice::V7),
        Args::of(Choice::V6_12),
        Args::of(Choice::V6_1),
        Args::of(Choice::V5_10),
        Args::locked_down(Choice::V6_12),
        Args::locked_down(Choice::V5_10),
        Args::under_systemd(Choice::V6_12),
    ];
    run_guests(args.iter().flat_map(Args::guests).collect())
}

pub fn run(args: &Args) -> Result<()> {
    run_guests(args.guests().collect())
}

fn run_guests(guests: Vec<Guest<'_>>) -> Result<()> {
    if !cfg!(target_arch = "x86_64") {
        bail!("guests need an x86_64 machine");
    }
    let bypassd = build::daemon(true)?;
    let programs = build::test_programs()?;
    let image = image::write(&bypassd)?;
    for guest in &guests {
        kernel::get(guest.series)?;
    }
    // An emulated machine with two CPUs that waits much keeps one busy.
    let at_once = thread::available_parallelism().map_or(1, NonZero::get).min(guests.len());
    let waiting = Mutex::new(VecDeque::from(guests));
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(guest) = next(&waiting) {
                    let started = Instant::now();
                    if let Err(error) = run_guest(&guest, &bypassd, &programs, &image) {
                        eprintln!("{}: {error:#}", guest.name());
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(guest.name());
                    }
                    eprintln!("{}: {:.1} s", guest.name(), started.elapsed().as_secs_f64());
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !failed.is_empty() {
        bail!("end-to-end tests failed in: {}", failed.join(", "));
    }
    Ok(())
}

fn next<T>(waiting: &Mutex<VecDeque<T>>) -> Option<T> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

fn run_guest(guest: &Guest<'_>, bypassd: &Path, programs: &TestPrograms, image: &Path) -> Result<()> {
    let (tally, exit_code, output) = match boot_once(guest, bypassd, programs, image) {
        Ok(outcome) => outcome,
        Err(error) => {
            println!("{}: 0 passed, 1 failed", guest.name());
            return Err(error);
        }
    };
    let mut tally = tally.unwrap_or_default();
    let fine = exit_code == Some(0) && (!tally.ran_nothing() || !guest.args.filter.is_empty());
    if !fine && tally.failed == 0 {
        tally.failed = 1;
    }
    println!("{}: {tally}", guest.name());
    if tally.failed > 0 {
        eprintln!("{}", report::failures(&output));
        let log = log_path(&guest.name())?;
        match exit_code {
            Some(code) => bail!("tests failed (exit code {code}), the console is in {}", log.display()),
            None => bail!("the guest stopped before its tests' end, the console is in {}", log.display()),
        }
    }
    Ok(())
}

type Outcome = (Option<Tally>, Option<i32>, String);

fn boot_once(guest: &Guest<'_>, bypassd: &Path, programs: &TestPrograms, image: &Path) -> Result<Outcome> {
    let filter = &guest.args.filter;
    let mut arguments = [&[report::PLAIN.to_owned()], filter.as_slice()].concat();
    if filter.is_empty() && !guest.args.systemd {
        let elsewhere = subjects::elsewhere(guest.series);
        eprintln!("{}: left to other runs: {}", guest.name(), elsewhere.join(", "));
        arguments.extend(elsewhere.iter().flat_map(|beginning| ["--skip", beginning].map(str::to_owned)));
    }
    let files = vec![("/image.tar", image.to_owned())];
    let init = if guest.args.systemd { Init::Systemd } else { Init::Own };
    let job = Job { program: "/bin/e2e", arguments, files, init };
    let (exit_code, output) = boot_with(guest.series, &job, &guest.options(), bypassd, programs)?;
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
    let archive = paths::target()?.join("vm").join(format!("initramfs-{}.cpio", options.name));
    initramfs::write(&archive, &kernel, bypassd, programs, job)?;
    let log = log_path(&options.name)?;
    let boot = || -> Result<String> {
        boot::boot(&kernel.image, &archive, &log, options)?;
        let console = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
        Ok(String::from_utf8_lossy(&console).replace('\r', ""))
    };
    let mut output = boot()?;
    if emulation::stopped_it(&output) {
        eprintln!(
            "{}: the emulated kernel met a breakpoint of its own, and is booted once more",
            options.name
        );
        output = boot()?;
    }
    fs::remove_file(&archive).with_context(|| format!("cannot remove {}", archive.display()))?;
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
    let job = Job { program: "/bin/bench", arguments, files, init: Init::Own };
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
