//! The container image: nothing but the static daemon, written without a container engine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use self::layout::Labels;
use crate::{archive, build, command, paths};

mod layout;

/// As the DaemonSet has it, with the version behind it.
const NAME: &str = "localhost/bypassd";

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

pub fn run() -> Result<()> {
    println!("{}", write(&build::daemon(true)?)?.display());
    Ok(())
}

/// Makes an image of a daemon, and returns where its archive is.
pub fn write(bypassd: &Path) -> Result<PathBuf> {
    let program = fs::read(bypassd).with_context(|| format!("cannot read {}", bypassd.display()))?;
    let image = layout::archive(&format!("{NAME}:{VERSION}"), program, &labels(), archive::time()?)?;
    let path = path()?;
    let dir = path.parent().unwrap_or(&path);
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    fs::write(&path, image).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Where it is written to.
pub fn path() -> Result<PathBuf> {
    Ok(paths::target()?.join("image").join(format!("bypassd-{VERSION}.tar")))
}

/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md>
fn labels() -> Labels {
    let mut labels = vec![
        ("title", "bypassd".to_owned()),
        ("description", "Shows who goes around the Kubernetes API server on a node".to_owned()),
        ("version", VERSION.to_owned()),
        ("licenses", env!("CARGO_PKG_LICENSE").to_owned()),
    ];
    let source = env!("CARGO_PKG_REPOSITORY");
    if !source.is_empty() {
        labels.push(("source", source.to_owned()));
    }
    labels.extend(revision().map(|revision| ("revision", revision)));
    labels.into_iter().map(|(key, value)| (format!("org.opencontainers.image.{key}"), value)).collect()
}

/// The commit, if it is one: what was changed since has no name.
fn revision() -> Option<String> {
    let git = |args: &[&str]| command::output(Command::new("git").current_dir(paths::root()).args(args)).ok();
    let clean = git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Some(git(&["rev-parse", "HEAD"])?.trim().to_owned()).filter(|_| clean)
}
