//! Programs of this machine with the shared libraries they load, at the same paths in the guest.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::cpio::Archive;
use crate::{command, paths};

pub fn add_program(archive: &mut Archive, name: &str) -> Result<()> {
    let program = paths::program(name).with_context(|| format!("no {name} here: run `cargo xtask setup`"))?;
    add_program_at(archive, &program, &Path::new("/bin").join(name))
}

pub fn add_program_at(archive: &mut Archive, program: &Path, place: &Path) -> Result<()> {
    archive.program(place, read(program)?);
    // ldd fails on a static program, which needs nothing.
    let Ok(text) = command::output(Command::new("ldd").arg(program)) else { return Ok(()) };
    for library in text.lines().filter_map(library) {
        if !archive.contains(&library) {
            let content = read(&library)?;
            archive.program(&library, content);
        }
    }
    Ok(())
}

pub fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// `libc.so.6 => /lib/libc.so.6 (0x...)` or, for the loader, `/lib64/ld-linux-x86-64.so.2 (0x...)`.
fn library(line: &str) -> Option<PathBuf> {
    let line = line.split_once("=>").map_or(line, |(_, path)| path);
    let path = line.split_whitespace().next()?;
    path.starts_with('/').then(|| path.into())
}

#[cfg(test)]
mod tests {
    use super::library;

    #[test]
    fn reads_what_ldd_prints() {
        assert_eq!(library("\tlibc.so.6 => /lib/libc.so.6 (0x1)"), Some("/lib/libc.so.6".into()));
        assert_eq!(
            library("\t/lib64/ld-linux-x86-64.so.2 (0x1)"),
            Some("/lib64/ld-linux-x86-64.so.2".into())
        );
        assert_eq!(library("\tlinux-vdso.so.1 (0x1)"), None);
        assert_eq!(library("\tstatically linked"), None);
    }
}
