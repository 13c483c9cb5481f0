//! The Rust toolchain that compiles the kernel programs: it needs the sources of `core` and unstable options.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{cargo, command, paths};

pub const OLDEST: (u32, u32) = (1, 95);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// rustup's nightly with the rust-src component.
    Nightly,
    /// A distribution's own Rust, new enough and with its sources (Debian: rustc-web, cargo-web, rust-web-src).
    Distro,
}

pub struct Version {
    pub rust: (u32, u32),
    pub llvm: u32,
}

impl Toolchain {
    pub fn find() -> Option<Self> {
        [Self::Nightly, Self::Distro].into_iter().find(|toolchain| toolchain.usable())
    }

    pub fn required() -> Result<Self> {
        Self::find().context("no Rust toolchain for the kernel programs: run `cargo xtask setup`")
    }

    fn usable(self) -> bool {
        let sources = match self {
            Self::Nightly => nightly_sysroot(),
            Self::Distro => PathBuf::from("/usr"),
        };
        sources.join("lib/rustlib/src/rust/library/Cargo.lock").is_file()
            && (self == Self::Nightly || Path::new("/usr/bin/cargo").is_file())
            && self.version().is_ok_and(|version| version.rust >= OLDEST)
    }

    pub fn version(self) -> Result<Version> {
        let rustc = match self {
            Self::Nightly => nightly_sysroot().join("bin/rustc"),
            Self::Distro => PathBuf::from("/usr/bin/rustc"),
        };
        let text = command::output(Command::new(rustc).arg("-vV").env_remove("LD_LIBRARY_PATH"))?;
        Version::parse(&text).with_context(|| format!("cannot read the versions in {text:?}"))
    }

    pub fn cargo(self) -> Command {
        match self {
            Self::Nightly => {
                let mut command = cargo::other("rustup");
                command.args(["run", "nightly", "cargo"]);
                command
            }
            Self::Distro => {
                let mut command = cargo::other("/usr/bin/cargo");
                command.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1");
                command
            }
        }
    }
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let field = |name| text.lines().find_map(|line| line.strip_prefix(name));
        let mut release = field("release: ")?.split('.').map_while(|part| part.parse().ok());
        let rust = (release.next()?, release.next()?);
        let llvm = field("LLVM version: ")?.split('.').next()?.parse().ok()?;
        Some(Self { rust, llvm })
    }
}

fn nightly_sysroot() -> PathBuf {
    paths::rustup_home().join("toolchains").join(format!("nightly-{}", paths::host_triple()))
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn reads_the_versions_of_a_nightly() {
        let text = "rustc 1.97.0-nightly\nhost: x\nrelease: 1.97.0-nightly\nLLVM version: 22.1.4\n";
        let version = Version::parse(text).unwrap();
        assert_eq!((version.rust, version.llvm), ((1, 97), 22));
    }

    #[test]
    fn wants_an_llvm_version() {
        assert!(Version::parse("release: 1.96.0\n").is_none());
    }
}
