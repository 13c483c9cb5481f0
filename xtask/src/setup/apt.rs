//! Debian and Ubuntu packages, installed without starting the services they bring.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{fs, io};

use anyhow::{Context as _, Result, bail};

use crate::{command, paths};

pub struct Package {
    pub name: &'static str,
    /// A program's name, or a file's path: its presence is quicker to see than the package's state, and whoever
    /// installed the program another way needs no package.
    pub provides: &'static str,
}

impl Package {
    fn present(&self) -> bool {
        if self.provides.starts_with('/') {
            Path::new(self.provides).exists()
        } else {
            paths::program(self.provides).is_some()
        }
    }
}

pub fn ensure(packages: &[Package]) -> Result<()> {
    let missing: Vec<_> = packages.iter().filter(|package| !package.present()).map(|p| p.name).collect();
    if missing.is_empty() { Ok(()) } else { install(&missing) }
}

pub fn install(names: &[&str]) -> Result<()> {
    if !usable() {
        bail!("missing here: install {} (setup does it as root where apt-get exists)", names.join(" "));
    }
    update_once()?;
    for name in names {
        eprintln!("setup: installing {name}");
    }
    let _guard = ServiceGuard::new()?;
    command::quiet(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(names))
}

/// Installs what the configured sources have, by the lists that were fetched last.
pub fn ensure_if_offered(package: &Package) -> Result<()> {
    if package.present() || !usable() || candidate(&policy(package.name)?).is_none() {
        return Ok(());
    }
    install(&[package.name])
}

fn policy(name: &str) -> Result<String> {
    command::output(Command::new("apt-cache").args(["policy", name]).env("LC_ALL", "C"))
}

/// Whether the configured sources have the package, in at least this version.
pub fn offers(name: &str, oldest: (u32, u32)) -> Result<bool> {
    if !usable() {
        return Ok(false);
    }
    update_once()?;
    Ok(candidate(&policy(name)?).is_some_and(|version| version >= oldest))
}

fn candidate(policy: &str) -> Option<(u32, u32)> {
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    let version = version.split_once(':').map_or(version, |(_, version)| version);
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse().ok());
    Some((numbers.next()?, numbers.next().unwrap_or(0)))
}

pub fn usable() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    root && paths::program("apt-get").is_some()
}

fn update_once() -> Result<()> {
    static UPDATED: OnceLock<()> = OnceLock::new();
    if UPDATED.get().is_none() {
        command::quiet(apt_get().arg("update")).context("cannot refresh the package lists")?;
        UPDATED.get_or_init(|| ());
    }
    Ok(())
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.arg("-qq").env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C");
    command
}

/// Debian's way to keep packages from starting services: a policy program that refuses. An existing one is the
/// administrator's and stays in force.
struct ServiceGuard(Option<PathBuf>);

impl ServiceGuard {
    fn new() -> Result<Self> {
        let path = PathBuf::from("/usr/sbin/policy-rc.d");
        let mut file = match fs::File::create_new(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(Self(None)),
            Err(error) => return Err(error).with_context(|| format!("cannot write {}", path.display())),
        };
        let guard = Self(Some(path));
        io::Write::write_all(&mut file, b"#!/bin/sh\nexit 101\n")?;
        file.set_permissions(fs::Permissions::from_mode(0o755))?;
        Ok(guard)
    }
}

impl Drop for ServiceGuard {
    fn drop(&mut self) {
        if let Some(path) = &self.0
            && let Err(error) = fs::remove_file(path)
        {
            eprintln!("setup: remove {} yourself: {error}", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::candidate;

    #[test]
    fn reads_a_candidate() {
        assert_eq!(candidate("x:\n  Installed: (none)\n  Candidate: 1:22.1.8-1~deb12u1\n"), Some((22, 1)));
        assert_eq!(candidate("x:\n  Candidate: 1.96.0+dfsg1-1~deb12u2\n"), Some((1, 96)));
    }

    #[test]
    fn no_candidate_is_no_version() {
        assert_eq!(candidate("x:\n  Candidate: (none)\n"), None);
        assert_eq!(candidate(""), None);
    }
}
