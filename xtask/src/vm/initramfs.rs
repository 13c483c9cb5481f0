//! A guest's whole file system: a small node with the real programs that bypassd watches.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::cpio::Archive;
use super::kernel::Kernel;
use super::libraries::{add_program, read};
use super::{modules, systemd};
use crate::build::TestPrograms;
use crate::{command, paths};

const NODE_PROGRAMS: [&str; 11] = [
    "btrfs",
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "etcd",
    "etcdctl",
    "mkfs.btrfs",
    "mkfs.ext4",
    "mkfs.xfs",
    "nft",
    "runc",
];

const DIRECTORIES: [&str; 9] =
    ["/dev", "/etc/kubernetes/manifests", "/newroot", "/proc", "/root", "/run", "/sys", "/tmp", "/var/lib"];

const ETC: [(&str, &str); 7] = [
    ("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    ("/etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    ("/etc/hosts", "127.0.0.1 localhost guest\n::1 localhost\n"),
    ("/etc/hostname", "guest\n"),
    // Containers with the network of the node get it.
    ("/etc/resolv.conf", ""),
    ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
    ("/etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
];

/// What the guest is there to do.
pub struct Job {
    pub program: &'static str,
    pub arguments: Vec<String>,
    /// What it needs besides, by path in the guest.
    pub files: Vec<(&'static str, PathBuf)>,
    pub init: Init,
}

/// What runs the job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Init {
    /// The guest's init itself.
    #[default]
    Own,
    /// systemd, which the guest's init becomes.
    Systemd,
}

pub fn write(file: &Path, kernel: &Kernel, bypassd: &Path, programs: &TestPrograms, job: &Job) -> Result<()> {
    let mut archive = Archive::default();
    archive.console();
    for path in DIRECTORIES {
        archive.directory(path);
    }
    for path in ["/sbin", "/usr/bin", "/usr/sbin"] {
        archive.link(path, "/bin");
    }
    for (path, content) in ETC {
        archive.text(path, content);
    }
    let words = [&[job.program.to_owned()], job.arguments.as_slice()].concat();
    archive.text("/etc/guest.job", words.iter().map(|word| format!("{word}\n")).collect::<String>());
    add_busybox(&mut archive)?;
    for name in NODE_PROGRAMS {
        add_program(&mut archive, name)?;
    }
    archive.program("/bin/bypassd", read(bypassd)?);
    archive.program("/bin/e2e", read(&programs.e2e)?);
    archive.program("/bin/actor", read(&programs.actor)?);
    archive.program("/init", read(&programs.guest_init)?);
    for (name, file) in &job.files {
        archive.program(name, read(file)?);
    }
    if job.init == Init::Systemd {
        systemd::add(&mut archive, &words)?;
    }
    modules::add(&mut archive, kernel)?;

    let failed = || format!("cannot write {}", file.display());
    let mut out = BufWriter::new(File::create(file).with_context(failed)?);
    archive.write(&mut out).and_then(|()| out.flush()).with_context(failed)
}

fn add_busybox(archive: &mut Archive) -> Result<()> {
    let busybox = paths::program("busybox").context("no busybox here: run `cargo xtask setup`")?;
    for applet in command::output(Command::new(&busybox).arg("--list"))?.lines() {
        archive.link(Path::new("/bin").join(applet), "busybox");
    }
    archive.program("/bin/busybox", read(&busybox)?);
    Ok(())
}
