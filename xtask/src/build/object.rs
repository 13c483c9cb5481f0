//! Compiles the kernel programs. They get their own target directory: another toolchain, another target.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::strip;
use crate::toolchain::Toolchain;
use crate::{command, paths};

const TARGET: &str = "bpfel-unknown-none";

pub fn build() -> Result<PathBuf> {
    build_one("bypassd-ebpf")
}

/// What the benchmarks compare with; it is in no other program.
pub fn build_empty() -> Result<PathBuf> {
    build_one("empty-ebpf")
}

/// Always optimised: the verifier refuses what an unoptimised build makes.
fn build_one(name: &str) -> Result<PathBuf> {
    let dir = paths::target()?.join("bpf");
    command::run(cargo("build", &dir, &[])?.arg("--release").arg(format!("--bin={name}")))?;
    let object = dir.join(TARGET).join("release").join(name);
    if !object.is_file() {
        bail!("the kernel programs' build left no {}", object.display());
    }
    strip::debug_information(&object)
}

/// Own directory as well: other flags would rebuild `core` at every change between checking and building.
pub fn check(toolchain_command: &str) -> Result<()> {
    let dir = paths::target()?.join("bpf-lint");
    command::run(cargo(toolchain_command, &dir, &["-Dwarnings"])?.arg("--bins"))
}

fn cargo(subcommand: &str, dir: &Path, extra: &[&str]) -> Result<Command> {
    let arch = format!("--cfg=bpf_target_arch=\"{}\"", std::env::consts::ARCH);
    let mut flags = vec![arch.as_str(), "-Cdebuginfo=2", "-Clink-arg=--btf"];
    flags.extend(extra);
    let mut cargo = Toolchain::required()?.cargo();
    cargo
        .args([subcommand, "--quiet", "--package=monitor-ebpf"])
        .args(["--target", TARGET, "-Zbuild-std=core", "--target-dir"])
        .arg(dir)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("PATH", path_with_linker()?);
    Ok(cargo)
}

/// rustc looks for bpf-linker in `PATH`, where cargo's own directory may be missing.
fn path_with_linker() -> Result<std::ffi::OsString> {
    let linker = paths::program("bpf-linker").context("no bpf-linker: run `cargo xtask setup`")?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(linker.parent().map(Path::to_path_buf));
    std::env::join_paths(dirs).context("cannot extend PATH")
}
