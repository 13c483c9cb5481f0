//! Runs the fuzz targets with libFuzzer. Coverage comes from the compiler's own pass, so any toolchain will do; the sanitizers of
//! `cargo fuzz` take a nightly, and look for what safe Rust does not have.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::{cargo, command, paths};

#[derive(clap::Args)]
pub struct Args {
    /// One target; all of them side by side if left out
    target: Option<String>,
    /// For how long
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
    /// Add what covers more to the corpus in the repository
    #[arg(long)]
    keep: bool,
}

impl Args {
    /// Long enough to notice what is easy to find.
    pub fn short() -> Self {
        Self { target: None, seconds: 20, keep: false }
    }
}

/// What `cargo fuzz` uses, without a sanitizer.
const FLAGS: [&str; 7] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cforce-frame-pointers",
];

pub fn run(args: &Args) -> Result<()> {
    let known = targets()?;
    let names = match &args.target {
        Some(name) if known.contains(name) => vec![name.clone()],
        Some(name) => bail!("no fuzz target {name}: there are {}", known.join(", ")),
        None => known,
    };
    let programs = build()?;
    let targets: Vec<_> = names.iter().map(|name| Target::new(name, &programs)).collect::<Result<_>>()?;
    let running: Vec<_> =
        targets.iter().map(|target| Ok((target, target.start(args.seconds)?))).collect::<Result<_>>()?;
    let mut runs = 0;
    let mut crashed = Vec::new();
    for (target, mut child) in running {
        let status = child.wait().with_context(|| format!("cannot wait for {}", target.name))?;
        let log = String::from_utf8_lossy(&fs::read(&target.log).unwrap_or_default()).into_owned();
        let own = executed(&log);
        eprintln!("fuzz: {}: {own} runs", target.name);
        runs += own;
        if !status.success() {
            eprintln!("fuzz: {} ended with {status}\n{}", target.name, end(&log));
            if status.signal().is_some() {
                eprintln!("fuzz: no input was kept: on a stack that overflowed, libFuzzer cannot write it");
            }
            crashed.push(target.name);
        } else if own == 0 {
            eprintln!("fuzz: {} ran nothing\n{}", target.name, end(&log));
            crashed.push(target.name);
        }
    }
    if args.keep {
        targets.iter().try_for_each(Target::keep)?;
    }
    println!("fuzz: {} targets, {runs} runs, {} crashes", targets.len(), crashed.len());
    if !crashed.is_empty() {
        bail!("{} failed: the inputs are in fuzz/artifacts", crashed.join(", "));
    }
    Ok(())
}

struct Target<'a> {
    name: &'a str,
    program: PathBuf,
    log: PathBuf,
    /// What earlier runs found; not in the repository.
    found: PathBuf,
    corpus: PathBuf,
}

impl<'a> Target<'a> {
    fn new(name: &'a str, programs: &Path) -> Result<Self> {
        let own = dir()?;
        let target = Self {
            name,
            program: programs.join(name),
            log: own.join("log").join(name),
            found: own.join("corpus").join(name),
            corpus: folder().join("corpus").join(name),
        };
        for dir in [&own.join("log"), &target.found, &target.artifacts()] {
            fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        }
        Ok(target)
    }

    fn artifacts(&self) -> PathBuf {
        folder().join("artifacts").join(self.name)
    }

    fn start(&self, seconds: u32) -> Result<Child> {
        let log = File::create(&self.log).with_context(|| format!("cannot write {}", self.log.display()))?;
        eprintln!("fuzz: {} for {seconds} s, see {}", self.name, self.log.display());
        let mut command = Command::new(&self.program);
        command
            .args([&self.found, &self.corpus])
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/", self.artifacts().display()))
            // In seconds and megabytes: whoever reads hostile bytes needs neither.
            .args(["-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        command.spawn().with_context(|| format!("cannot start {}", self.program.display()))
    }

    /// As few of the inputs as reach every place in the code that all of them reach.
    fn keep(&self) -> Result<()> {
        let mut merge = Command::new(&self.program);
        merge.args(["-set_cover_merge=1", "-use_counters=0"]).args([&self.corpus, &self.found]);
        command::quiet(&mut merge)
    }
}

fn folder() -> PathBuf {
    paths::root().join("fuzz")
}

/// Own directory: other flags would rebuild everything.
fn dir() -> Result<PathBuf> {
    Ok(paths::target()?.join("fuzz"))
}

fn targets() -> Result<Vec<String>> {
    let folder = folder().join("fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        names.extend(path.file_stem().and_then(|name| name.to_str()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Gives the directory of the programs.
fn build() -> Result<PathBuf> {
    let (triple, dir) = (paths::host_triple(), dir()?);
    let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", triple.replace('-', "_").to_uppercase());
    let mut cargo = cargo::host();
    cargo
        .args(["build", "--quiet", "--package=fuzz", "--bins", "--profile=fuzz", "--target", &triple])
        .arg("--target-dir")
        .arg(&dir)
        .env(flags, FLAGS.join(" "));
    command::run(&mut cargo)?;
    Ok(dir.join(triple).join("fuzz"))
}

fn executed(log: &str) -> u64 {
    let count = log.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// What libFuzzer said last.
fn end(log: &str) -> String {
    const LINES: usize = 40;
    let lines: Vec<_> = log.lines().collect();
    lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::{end, executed};

    #[test]
    fn runs_are_counted() {
        assert_eq!(executed("Done\nstat::number_of_executed_units: 4711\nstat::x: 1\n"), 4711);
        assert_eq!(executed("==1== ERROR: libFuzzer: deadly signal\n"), 0);
    }

    #[test]
    fn the_end_of_a_log_is_shown() {
        assert_eq!(end("a\nb\n"), "a\nb");
        assert!(end(&"x\n".repeat(100)).lines().count() < 100);
    }
}
