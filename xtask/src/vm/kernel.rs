//! Debian's kernels for cloud machines, of more releases than this machine's own: fetched with package lists of their
//! own, unpacked and never installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{command, paths};

pub struct Series {
    pub name: &'static str,
    /// The Debian release whose newest cloud kernel is of this series.
    suite: &'static str,
}

pub const ALL: [Series; 4] = [
    Series { name: "5.10", suite: "bullseye" },
    Series { name: "6.1", suite: "bookworm" },
    Series { name: "6.12", suite: "trixie" },
    Series { name: "7.x", suite: "trixie-backports" },
];

pub struct Kernel {
    pub image: PathBuf,
    pub release: String,
    /// What modprobe takes as the root directory.
    pub root: PathBuf,
}

const META_PACKAGE: &str = "linux-image-cloud-amd64";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const PUBLIC_MIRROR: &str = "http://deb.debian.org/debian";

pub fn get(series: &Series) -> Result<Kernel> {
    let dir = paths::target()?.join("vm/kernels").join(series.name);
    if !dir.join("root").exists() {
        fetch(series, &dir).with_context(|| format!("cannot get a {} kernel from Debian", series.name))?;
    }
    open(&dir.join("root"))
}

fn open(root: &Path) -> Result<Kernel> {
    let modules = root.join("lib/modules");
    let entries = fs::read_dir(&modules).with_context(|| format!("cannot read {}", modules.display()))?;
    let Some(dir) = entries.flatten().next() else { bail!("nothing in {}", modules.display()) };
    let release = dir.file_name().to_string_lossy().into_owned();
    // The second place is that of kernels since 7.0.
    let images = [root.join("boot").join(format!("vmlinuz-{release}")), dir.path().join("vmlinuz")];
    match images.into_iter().find(|image| image.is_file()) {
        Some(image) => Ok(Kernel { image, release, root: root.into() }),
        None => bail!("no kernel in {}: remove it to fetch it again", root.display()),
    }
}

fn fetch(series: &Series, dir: &Path) -> Result<()> {
    let unpacked = dir.join("unpacked");
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove an unfinished {}", dir.display()))?;
    }
    fs::create_dir_all(dir.join("lists/partial"))
        .with_context(|| format!("cannot create {}", dir.display()))?;
    let source = format!("deb [signed-by={KEYRING}] {} {} main\n", mirror(), series.suite);
    fs::write(dir.join("sources.list"), source)?;
    command::quiet(apt("apt-get", dir).arg("update"))?;
    let packages = packages(dir)?;
    eprintln!("guest-{}: fetching {}", series.name, packages.join(" "));
    command::quiet(apt("apt-get", dir).arg("download").args(&packages).current_dir(dir))?;
    for entry in fs::read_dir(dir)? {
        let package = entry?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            command::quiet(Command::new("dpkg").arg("-x").arg(&package).arg(&unpacked))?;
            fs::remove_file(&package)?;
        }
    }
    index_modules(&unpacked)?;
    fs::remove_dir_all(dir.join("lists"))?;
    // Last, so that what is there is whole.
    fs::rename(&unpacked, dir.join("root")).context("cannot finish the kernel's directory")
}

fn index_modules(root: &Path) -> Result<()> {
    // Newer releases ship /usr/lib only; depmod and modprobe of older ones look in /lib only.
    if !root.join("lib").exists() {
        std::os::unix::fs::symlink("usr/lib", root.join("lib"))?;
    }
    let kernel = open(root)?;
    command::quiet(Command::new("depmod").arg("--basedir").arg(root).arg(&kernel.release))
}

/// The packages behind the meta package that always names the newest kernel: since 7.0 image and modules are two.
fn packages(dir: &Path) -> Result<Vec<String>> {
    let mut query = apt("apt-cache", dir);
    query.args(["depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks"]);
    let text = command::output(query.args(["--no-replaces", "--no-enhances", META_PACKAGE]))?;
    let mut names: Vec<_> = text.lines().filter(|name| is_kernel(name)).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        bail!("{META_PACKAGE} names no kernel");
    }
    Ok(names)
}

fn is_kernel(package: &str) -> bool {
    let kinds = ["linux-image-", "linux-binary-", "linux-modules-"];
    let version = kinds.iter().find_map(|kind| package.strip_prefix(kind));
    version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
}

/// Neither the machine's sources and lists nor its installed packages take part.
fn apt(program: &str, dir: &Path) -> Command {
    let mut command = Command::new(program);
    let dir = dir.display();
    for option in [
        format!("Dir::Etc::SourceList={dir}/sources.list"),
        "Dir::Etc::SourceParts=/nonexistent".into(),
        format!("Dir::State::Lists={dir}/lists"),
        "Dir::State::status=/dev/null".into(),
        "Dir::Cache::pkgcache=".into(),
        "Dir::Cache::srcpkgcache=".into(),
        "Acquire::Languages=none".into(),
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".into(),
        "APT::Sandbox::User=root".into(),
        "APT::Architecture=amd64".into(),
    ] {
        command.args(["-o", &option]);
    }
    command
}

/// The Debian mirror that this machine uses already; what it can reach need not be the public one.
fn mirror() -> String {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    let texts: Vec<_> = files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect();
    let words = texts.iter().flat_map(|text| text.lines()).filter(|line| !line.trim_start().starts_with('#'));
    let mut words = words.flat_map(str::split_whitespace);
    words.find_map(as_debian_mirror).unwrap_or_else(|| PUBLIC_MIRROR.into())
}

fn as_debian_mirror(word: &str) -> Option<String> {
    let url = word.trim_end_matches('/');
    (url.contains("://") && url.ends_with("/debian")).then(|| url.into())
}

#[cfg(test)]
mod tests {
    use super::{as_debian_mirror, is_kernel};

    #[test]
    fn tells_kernels_from_meta_packages() {
        assert!(is_kernel("linux-image-6.1.0-50-cloud-amd64"));
        assert!(is_kernel("linux-modules-7.3.4+deb13-cloud-amd64"));
        assert!(!is_kernel("linux-image-cloud-amd64"));
        assert!(!is_kernel("  Depends: linux-image-6.1.0-50-cloud-amd64"));
    }

    #[test]
    fn finds_the_mirror_among_other_words() {
        assert_eq!(
            as_debian_mirror("http://mirror.test/debian/").as_deref(),
            Some("http://mirror.test/debian")
        );
        assert_eq!(as_debian_mirror("http://mirror.test/debian-security"), None);
        assert_eq!(as_debian_mirror("main"), None);
    }
}
