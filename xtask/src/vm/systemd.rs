//! A guest whose process 1 is this machine's systemd, as on a node: it starts the job as a service, with the units of its own that this takes.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::cpio::Archive;
use super::libraries::{add_program, add_program_at, read};

const PROGRAMS: [&str; 2] = ["systemctl", "journalctl"];

/// Not all are there in every version.
const OWN: [&str; 4] = [
    "/lib/systemd/systemd",
    "/lib/systemd/systemd-executor",
    "/lib/systemd/systemd-journald",
    "/lib/systemd/systemd-shutdown",
];

const UNITS: [&str; 14] = [
    "basic.target",
    "local-fs-pre.target",
    "local-fs.target",
    "multi-user.target",
    "paths.target",
    "shutdown.target",
    "slices.target",
    "sockets.target",
    "sysinit.target",
    "systemd-journald-dev-log.socket",
    "systemd-journald.service",
    "systemd-journald.socket",
    "timers.target",
    "umount.target",
];

const TARGET: &str = "[Unit]
Requires=basic.target systemd-journald.service
Wants=job.service
AllowIsolate=yes
";

pub fn add(archive: &mut Archive, job: &[String]) -> Result<()> {
    for name in PROGRAMS {
        add_program(archive, name)?;
    }
    for path in OWN.map(Path::new) {
        if path.exists() {
            add_program_at(archive, path, path)?;
        }
    }
    for unit in UNITS {
        let path = Path::new("/lib/systemd/system").join(unit);
        let text = read(&path).context("no systemd here: run `cargo xtask setup`")?;
        archive.text(&path, text);
    }
    archive.text("/etc/systemd/system/default.target", TARGET);
    archive.text("/etc/systemd/system/job.service", service(job));
    Ok(())
}

/// What the guest's init does otherwise.
fn service(job: &[String]) -> String {
    let words: Vec<_> = job.iter().map(|word| format!("'{word}'")).collect();
    format!(
        "[Unit]
After=basic.target systemd-journald.service
SuccessAction=poweroff-immediate
FailureAction=poweroff-immediate

[Service]
Type=oneshot
Environment=ACTOR_BIN=/bin/actor BYPASSD_BIN=/bin/bypassd HOME=/root PATH=/bin
ExecStart=/bin/sh -c \"{}; echo guest-init: exit code $$?\"
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
TimeoutStartSec=infinity
",
        words.join(" ")
    )
}
