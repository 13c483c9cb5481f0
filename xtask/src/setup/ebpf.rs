//! Installs a Rust toolchain for the kernel programs where none is usable.

use anyhow::{Result, bail};

use super::apt;
use crate::toolchain::{OLDEST, Toolchain};
use crate::{cargo, command, paths};

pub fn ensure() -> Result<Toolchain> {
    if let Some(toolchain) = Toolchain::find() {
        return Ok(toolchain);
    }
    // Distribution packages first: one source, and an LLVM package that fits.
    if apt::offers("rustc-web", OLDEST)? {
        apt::install(&["rustc-web", "cargo-web", "rust-web-src"])?;
    } else if paths::program("rustup").is_some() {
        eprintln!("setup: installing the nightly toolchain with rust-src");
        command::quiet(cargo::other("rustup").args([
            "toolchain",
            "install",
            "nightly",
            "--profile=minimal",
            "--component=rust-src",
        ]))?;
    }
    match Toolchain::find() {
        Some(toolchain) => Ok(toolchain),
        None => bail!(
            "no Rust toolchain for the kernel programs: run `rustup toolchain install nightly --component rust-src`, or \
             as root `apt-get install rustc-web cargo-web rust-web-src` (Debian 12 or later)"
        ),
    }
}
