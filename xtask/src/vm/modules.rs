//! The kernel modules that tests need, with what they depend on, in the order in which they load.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::cpio::Archive;
use super::kernel::Kernel;
use crate::command;

/// Containers (overlay, veth), the file systems of nodes (loop, ext4, xfs, btrfs), machines elsewhere (tun), lists of
/// sockets (the diag ones), address translation (the nft ones).
const WANTED: [&str; 11] = [
    "overlay",
    "loop",
    "ext4",
    "xfs",
    "btrfs",
    "veth",
    "tun",
    "tcp_diag",
    "unix_diag",
    "nft_chain_nat",
    "nft_redir",
];

/// guest-init loads what is in this list, line by line.
const LIST: &str = "/modules/load.list";

pub fn add(archive: &mut Archive, kernel: &Kernel) -> Result<()> {
    let mut list = String::new();
    for file in files(kernel)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let name = name.split_once(".ko").map_or(&*name, |(stem, _)| stem);
        let path = format!("/modules/{name}.ko");
        archive.text(&path, read(&file)?);
        list.push_str(&path);
        list.push('\n');
    }
    archive.text(LIST, list);
    Ok(())
}

fn files(kernel: &Kernel) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for module in WANTED {
        let mut modprobe = Command::new("modprobe");
        modprobe.args(["--show-depends", "--set-version", &kernel.release, "--dirname"]).arg(&kernel.root);
        // A kernel without a module is no error: the test that needs it says so.
        let Ok(steps) = command::output(modprobe.arg(module)) else { continue };
        for file in steps.lines().filter_map(|step| step.strip_prefix("insmod ")) {
            let file = PathBuf::from(file.trim());
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    Ok(files)
}

/// Unpacked here, because not every kernel unpacks modules itself.
fn read(file: &Path) -> Result<Vec<u8>> {
    let tool = match file.extension().and_then(|extension| extension.to_str()) {
        Some("ko") => return std::fs::read(file).with_context(|| format!("cannot read {}", file.display())),
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => bail!("{} is packed in an unknown way", file.display()),
    };
    command::output_bytes(Command::new(tool).arg("-dc").arg(file))
}
