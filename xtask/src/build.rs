//! Builds what runs: the kernel programs, the daemon with them inside, the test programs. All static.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{cargo, command, paths};

mod elf;
pub mod object;
mod strip;

#[derive(clap::Args)]
pub struct Args {
    /// Optimise; without it only the daemon is a debug build, the kernel programs never are
    #[arg(long)]
    release: bool,
}

const LARGEST: u64 = 10 << 20;

pub struct TestPrograms {
    pub e2e: PathBuf,
    pub actor: PathBuf,
    pub guest_init: PathBuf,
    pub bench: PathBuf,
}

pub fn run(args: &Args) -> Result<()> {
    println!("{}", daemon(args.release)?.display());
    Ok(())
}

pub fn daemon(release: bool) -> Result<PathBuf> {
    let object = object::build()?;
    let profile = if release { "release" } else { "dev" };
    let mut cargo = static_build(profile);
    cargo.args(["--package=monitor", "--bin=bypassd"]).env("BYPASSD_EBPF_OBJECT", object);
    command::run(&mut cargo)?;
    let binary = product(if release { "release" } else { "debug" }, "bypassd")?;
    if release {
        check(&binary)?;
    }
    Ok(binary)
}

pub fn test_programs() -> Result<TestPrograms> {
    command::run(static_build("e2e").args(["--package=tests", "--bins"]))?;
    let program = |name| product("e2e", name);
    Ok(TestPrograms {
        e2e: program("e2e")?,
        actor: program("actor")?,
        guest_init: program("guest-init")?,
        bench: program("bench")?,
    })
}

/// Static, because the same file is copied to nodes and guests with any libc or none.
fn static_build(profile: &str) -> Command {
    let triple = paths::host_triple();
    let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", triple.replace('-', "_").to_uppercase());
    let mut cargo = cargo::host();
    cargo.args(["build", "--quiet", "--profile", profile, "--target", &triple]);
    cargo.env(flags, "-Ctarget-feature=+crt-static");
    cargo
}

fn product(profile: &str, name: &str) -> Result<PathBuf> {
    Ok(paths::target()?.join(paths::host_triple()).join(profile).join(name))
}

fn check(binary: &Path) -> Result<()> {
    let bytes = std::fs::read(binary).with_context(|| format!("cannot read {}", binary.display()))?;
    if elf::wants_interpreter(&bytes).with_context(|| format!("{} is no ELF file", binary.display()))? {
        bail!("{} is not static: a dependency changed the link, see `ldd`", binary.display());
    }
    if bytes.len() as u64 >= LARGEST {
        bail!("{} has {} bytes, the limit is {LARGEST}: see what grew it", binary.display(), bytes.len());
    }
    Ok(())
}
