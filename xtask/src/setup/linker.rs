//! bpf-linker: it reads what rustc writes, so its LLVM must not be older than rustc's.

use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use super::apt;
use crate::toolchain::Toolchain;
use crate::{cargo, command, paths};

const VERSION: &str = "0.13.0";
/// The LLVM versions that this bpf-linker can be built with.
const LLVMS: RangeInclusive<u32> = 21..=23;

pub fn ensure(toolchain: Toolchain) -> Result<()> {
    let needed = toolchain.version()?.llvm;
    match paths::program("bpf-linker") {
        Some(linker) if reads(&linker, needed) => Ok(()),
        _ => install(needed),
    }
}

/// A linker with LLVM inside shows none here; it is taken as fitting, and building tells if not.
fn reads(linker: &Path, needed: u32) -> bool {
    let Ok(libraries) = command::output(Command::new("ldd").arg(linker)) else { return true };
    if libraries.contains("libLLVM") && libraries.contains("not found") {
        return false;
    }
    linked_llvm(&libraries).is_none_or(|llvm| llvm >= needed)
}

fn linked_llvm(libraries: &str) -> Option<u32> {
    let (_, rest) = libraries.split_once("libLLVM")?;
    let digits = rest.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn install(llvm: u32) -> Result<()> {
    if !LLVMS.contains(&llvm) {
        bail!("bpf-linker {VERSION} does not read LLVM {llvm} of this Rust: install a bpf-linker that does");
    }
    let prefix = format!("/usr/lib/llvm-{llvm}");
    if !Path::new(&prefix).join("bin/llvm-config").exists() {
        apt::install(&[&format!("llvm-{llvm}-dev"), &format!("libpolly-{llvm}-dev")])?;
    }
    eprintln!("setup: building bpf-linker {VERSION} with LLVM {llvm}");
    let feature = format!("llvm-{llvm}");
    command::quiet(
        cargo::host()
            .args([
                "install",
                "--quiet",
                "--locked",
                "--force",
                "--version",
                VERSION,
                "--no-default-features",
            ])
            .args(["--features", &feature, "bpf-linker"])
            .env("LLVM_PREFIX", prefix),
    )
}

#[cfg(test)]
mod tests {
    use super::linked_llvm;

    #[test]
    fn sees_the_llvm_that_a_linker_uses() {
        let text = "\tlibLLVM.so.22.1 => /usr/lib/llvm-22/lib/libLLVM.so.22.1 (0x1)\n";
        assert_eq!(linked_llvm(text), Some(22));
        assert_eq!(linked_llvm("\tlibLLVM-19.so.1 => /x (0x1)\n"), Some(19));
        assert_eq!(linked_llvm("\tlibc.so.6 => /x (0x1)\n"), None);
    }
}
