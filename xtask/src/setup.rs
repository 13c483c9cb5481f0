//! Brings a machine to where bypassd builds and its tests run. Does nothing, quickly, when nothing is missing.

use anyhow::Result;
use clap::ValueEnum;

use self::apt::Package;

pub mod apt;
mod ebpf;
mod linker;

#[derive(clap::Args)]
pub struct Args {
    /// Only what this needs
    #[arg(long = "for", value_name = "PART")]
    part: Option<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    Build,
    Test,
}

const BUILD: [Package; 3] = [
    Package { name: "gcc", provides: "cc" },
    // bpf-linker links LLVM, which is C++.
    Package { name: "g++", provides: "c++" },
    Package { name: "libc6-dev", provides: "/usr/include/stdlib.h" },
];

const TEST: [Package; 17] = [
    Package { name: "qemu-system-x86", provides: "qemu-system-x86_64" },
    Package { name: "busybox-static", provides: "busybox" },
    Package { name: "kmod", provides: "modprobe" },
    Package { name: "xz-utils", provides: "xz" },
    Package { name: "containerd", provides: "containerd" },
    Package { name: "runc", provides: "runc" },
    Package { name: "etcd-server", provides: "etcd" },
    Package { name: "etcd-client", provides: "etcdctl" },
    Package { name: "iproute2", provides: "ip" },
    Package { name: "nftables", provides: "nft" },
    Package { name: "prometheus", provides: "promtool" },
    Package { name: "systemd", provides: "systemd-analyze" },
    Package { name: "rsyslog", provides: "rsyslogd" },
    Package { name: "tmux", provides: "tmux" },
    Package { name: "e2fsprogs", provides: "mkfs.ext4" },
    Package { name: "xfsprogs", provides: "mkfs.xfs" },
    Package { name: "btrfs-progs", provides: "mkfs.btrfs" },
];

/// For the tests of the report's page. Ubuntu has browsers as snaps only, and those tests are skipped there.
const BROWSER: Package = Package { name: "chromium-headless-shell", provides: "chromium-headless-shell" };

pub fn run(args: &Args) -> Result<()> {
    ensure(args.part)
}

pub fn ensure(part: Option<Part>) -> Result<()> {
    if part != Some(Part::Test) {
        apt::ensure(&BUILD)?;
        let toolchain = ebpf::ensure()?;
        linker::ensure(toolchain)?;
    }
    if part != Some(Part::Build) {
        apt::ensure(&TEST)?;
        apt::ensure_if_offered(&BROWSER)?;
    }
    Ok(())
}
