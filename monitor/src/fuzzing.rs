//! What the fuzz targets reach of private modules. It is for them alone and may change at any time.

use std::io;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use crate::config::{Config, ConfigErrors};
use crate::event::Event;
use crate::identity::spec::{Keys, parse};
use crate::kernel::listen;
use crate::manifest::{Doors, summary};
use crate::running::program::Program;
use crate::running::{self, Running};
use crate::{config, emit, enrich, posture};

/// The name that errors give to a policy's file.
pub const POLICY: &str = "policy.yaml";

/// A policy file with this text.
pub fn policy(text: &str) -> Result<Config, ConfigErrors> {
    config::build(POLICY, text, Some(Path::new(POLICY)))
}

/// The systemd unit in a cgroup path.
pub fn unit(cgroup: &[u8]) -> Option<String> {
    enrich::unit(cgroup)
}

/// How many events of fanotify these bytes are.
pub fn fanotify(bytes: &[u8]) -> Option<usize> {
    listen::events(bytes)
}

/// The mount point in an answer of statmount(2).
pub fn statmount(bytes: &[u8]) -> Option<PathBuf> {
    listen::mount_point(bytes)
}

/// What is kept of a container's configuration, as containerd's and as CRI-O's.
pub fn bundle(json: &[u8]) -> [Result<Vec<String>, String>; 2] {
    [Keys::Containerd, Keys::Crio].map(|keys| {
        let spec = parse(json, keys).map_err(|why| why.to_string())?;
        let kept = [spec.namespace, spec.pod, spec.uid, spec.container, spec.image, spec.sandbox_id];
        Ok(kept.into_iter().flatten().collect())
    })
}

/// The summary of a static pod manifest, as it is written.
pub fn manifest(text: &[u8]) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&summary(text, &Doors::default()))
}

/// What one of the programs says, by its number.
pub fn running(program: u8, cmdline: &[u8], environ: &[u8], text: &[u8]) -> Running {
    let program = Program::ALL[usize::from(program) % Program::ALL.len()];
    running::made(program, cmdline, environ, text)
}

/// Four settings of a kubelet with these flags, whose files all have this text, each or why it is not known.
pub fn kubelet(cmdline: &[u8], text: &[u8]) -> Vec<Result<String, String>> {
    posture::made(cmdline, text)
}

/// How many keys of authorities, names of an access control list and listening sockets these bytes are.
pub fn counted(bytes: &[u8]) -> (Result<usize, &'static str>, Option<usize>, usize) {
    posture::counted(bytes)
}

/// The event for people.
pub fn text(event: &Event) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    emit::text::write(&mut out, event, emit::Look { colour: false, tree: true }, &TimeZone::UTC)?;
    Ok(out)
}

/// The event as a line in each format of others.
pub fn shaped(event: &mut Event) -> serde_json::Result<Vec<Vec<u8>>> {
    emit::shaped_lines(event)
}
