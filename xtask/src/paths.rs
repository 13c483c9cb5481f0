//! Where things are: the workspace, its build products, programs on this machine.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

pub fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// Absolute, because the commands that get it run in other directories.
pub fn target() -> Result<PathBuf> {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => std::path::absolute(&dir).with_context(|| format!("CARGO_TARGET_DIR {}", dir.display())),
        None => Ok(root().join("target")),
    }
}

pub fn host_triple() -> String {
    format!("{}-unknown-linux-gnu", env::consts::ARCH)
}

/// Looks where a shell of root would, too: `PATH` of an ordinary user lacks the sbin directories, and that of a fresh
/// machine cargo's.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into(), cargo_home().join("bin")])
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
}

pub fn cargo_home() -> PathBuf {
    env::var_os("CARGO_HOME").map_or_else(|| home().join(".cargo"), PathBuf::from)
}

pub fn rustup_home() -> PathBuf {
    env::var_os("RUSTUP_HOME").map_or_else(|| home().join(".rustup"), PathBuf::from)
}

fn home() -> PathBuf {
    env::home_dir().unwrap_or_else(|| PathBuf::from("/root"))
}
