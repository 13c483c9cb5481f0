//! One boot of one guest, its console into a file.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// The slowest guest took 16 minutes on a machine that did other work, too.
const LIMIT: Duration = Duration::from_secs(25 * 60);
const MEMORY_MIB: &str = "2048";

#[derive(Debug, Default)]
pub struct Options {
    /// Of the console's file.
    pub name: String,
    /// Shows the console while the guest runs, and lets the daemon log more.
    pub trace: bool,
    /// For the kernel's command line.
    pub append: String,
}

pub fn boot(kernel: &Path, initramfs: &Path, log: &Path, options: &Options) -> Result<()> {
    if let Some(dir) = log.parent() {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut guest = qemu(kernel, initramfs, options)
        .spawn()
        .context("cannot start qemu-system-x86_64: run `cargo xtask setup`")?;
    let console = guest.stdout.take().context("qemu has no stdout")?;
    let copy = thread::spawn({
        let trace = options.trace;
        move || copy(console, file, trace)
    });
    let in_time = wait(&mut guest)?;
    if copy.join().is_err() {
        bail!("reading the guest's console stopped, what came is in {}", log.display());
    }
    if !in_time {
        bail!(
            "no end after {} minutes, the console is in {} and ends with:\n{}",
            LIMIT.as_secs() / 60,
            log.display(),
            last_lines(log)
        );
    }
    Ok(())
}

/// Where it stood still.
fn last_lines(log: &Path) -> String {
    const LINES: usize = 12;
    let console = fs::read(log).unwrap_or_default();
    let console = String::from_utf8_lossy(&console);
    let lines: Vec<_> = console.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// KVM is left out on purpose: the same emulated machine everywhere. cmpxchg16b (cx16) is off because with it some boots
/// crash QEMU 7.2's emulation.
fn qemu(kernel: &Path, initramfs: &Path, options: &Options) -> Command {
    // The kernel passes words it does not know, with `=`, to init's environment.
    let log = if options.trace { " BYPASSD_LOG=monitor=debug" } else { "" };
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args(["-accel", "tcg,thread=multi", "-cpu", "max,-cx16", "-m", MEMORY_MIB, "-smp", "2", "-kernel"])
        .arg(kernel)
        .arg("-initrd")
        .arg(initramfs)
        .args(["-append", &format!("console=ttyS0 quiet panic=-1{log} {}", options.append)])
        .args(["-nographic", "-no-reboot", "-nodefaults", "-serial", "stdio"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

/// False when the guest had to be stopped.
fn wait(guest: &mut Child) -> Result<bool> {
    let started = Instant::now();
    loop {
        if let Some(status) = guest.try_wait().context("cannot wait for qemu")? {
            if !status.success() {
                bail!("qemu failed ({status})");
            }
            return Ok(true);
        }
        if started.elapsed() > LIMIT {
            guest.kill().and_then(|()| guest.wait()).context("cannot stop qemu")?;
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn copy(mut console: ChildStdout, mut file: File, trace: bool) -> io::Result<()> {
    let mut buffer = [0; 8192];
    loop {
        let length = console.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        file.write_all(bytes)?;
        if trace {
            io::stderr().write_all(bytes)?;
        }
    }
}
