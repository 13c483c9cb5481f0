//! What is handed out: one archive with the daemon and everything around it, and one of the container image.

use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::archive::{self, Entry};
use crate::image::{self, VERSION};
use crate::{build, command, paths};

mod sbom;

/// Shells, and under which names they look for completions.
const SHELLS: [(&str, &str); 5] = [
    ("bash", "bypassd.bash"),
    ("elvish", "bypassd.elv"),
    ("fish", "bypassd.fish"),
    ("powershell", "_bypassd.ps1"),
    ("zsh", "_bypassd"),
];

const SUMS: &str = "SHA256SUMS";

pub fn run() -> Result<()> {
    println!("{}", write(&build::daemon(true)?)?.display());
    Ok(())
}

/// Packs a daemon, and returns where the archive is. Beside it are the image and the hashes of both.
pub fn write(bypassd: &Path) -> Result<PathBuf> {
    let name = format!("bypassd-{VERSION}-{ARCH}-linux");
    let time = archive::time()?;
    let entries = within(&name, with_sums(contents(bypassd)?));
    let packed = archive::gzip(&archive::tar(entries, time)?)?;
    let image = read(&image::write(bypassd)?)?;
    let files = [
        Entry::new(format!("{name}.tar.gz"), packed),
        Entry::new(format!("bypassd-{VERSION}-{ARCH}-image.tar"), image),
    ];
    let dir = paths::target()?.join("dist");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    for Entry { path, data, .. } in with_sums(files.to_vec()) {
        let path = dir.join(path);
        fs::write(&path, data).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(dir.join(format!("{name}.tar.gz")))
}

fn contents(bypassd: &Path) -> Result<Vec<Entry>> {
    let program = read(bypassd)?;
    let mut entries = vec![
        Entry::new("README.md", include_str!("dist/README.md")),
        Entry::new("sbom.cdx.json", sbom::of(&archive::sha256(&program))?),
        Entry::program("bypassd", program),
    ];
    for license in ["LICENSE-APACHE", "LICENSE-MIT"] {
        entries.push(Entry::new(license, read(&paths::root().join(license))?));
    }
    for (shell, file) in SHELLS {
        let script = command::output_bytes(Command::new(bypassd).args(["completions", shell]))?;
        entries.push(Entry::new(format!("completions/{file}"), script));
    }
    let pages = paths::target()?.join("man");
    // Pages of commands that are no more would be packed, too.
    if pages.exists() {
        fs::remove_dir_all(&pages).with_context(|| format!("cannot empty {}", pages.display()))?;
    }
    fs::create_dir_all(&pages).with_context(|| format!("cannot make {}", pages.display()))?;
    command::quiet(Command::new(bypassd).args(["man", "--output"]).arg(&pages))?;
    add(&mut entries, &pages, "man")?;
    add(&mut entries, &paths::root().join("deploy"), "deploy")?;
    Ok(entries)
}

/// A directory with all that is in it.
fn add(entries: &mut Vec<Entry>, dir: &Path, name: &str) -> Result<()> {
    let found = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    for file in found {
        let file = file.with_context(|| format!("cannot list {}", dir.display()))?;
        let name = format!("{name}/{}", file.file_name().to_string_lossy());
        if file.path().is_dir() {
            add(entries, &file.path(), &name)?;
        } else {
            entries.push(Entry::new(name, read(&file.path())?));
        }
    }
    Ok(())
}

/// The same, and a file with the hash of each, as `sha256sum --check` reads it.
fn with_sums(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort();
    let sum = |entry: &Entry| format!("{}  {}\n", archive::sha256(&entry.data), entry.path);
    let sums: String = entries.iter().map(sum).collect();
    entries.push(Entry::new(SUMS, sums));
    entries
}

fn within(dir: &str, entries: Vec<Entry>) -> Vec<Entry> {
    entries.into_iter().map(|entry| Entry { path: format!("{dir}/{}", entry.path), ..entry }).collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_of_every_file() {
        let files = vec![Entry::new("b", "x"), Entry::program("a/c", "")];
        let files = within("top", with_sums(files));
        let [first, second, sums] = files.as_slice() else { panic!("{files:?}") };
        assert_eq!((first.path.as_str(), second.path.as_str()), ("top/a/c", "top/b"));
        assert_eq!(
            String::from_utf8_lossy(&sums.data),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a/c\n\
             2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881  b\n"
        );
    }
}
