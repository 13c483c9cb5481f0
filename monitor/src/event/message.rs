//! One sentence for people.

use super::text::{escaped, escaped_bytes};
use super::{Manifest, ManifestPod, Target};
use crate::access::{Access, FileObject, Object, OtherPlace, Outcome};
use crate::model::Action;
use crate::verdict::Verdict;

pub(super) fn access(access: &Access, path: &[u8], verdict: &Verdict) -> String {
    let actor = &access.actor;
    let exe = if actor.exe.path.is_empty() { &actor.comm } else { &actor.exe.path };
    let did = match (access.action, &access.object) {
        (Action::Open, _) => "opened",
        (Action::Create, _) => "created",
        (Action::Write, _) => "opened for writing",
        (Action::Truncate, _) => "truncated",
        (
            Action::Rename,
            Object::File(FileObject { other: Some(OtherPlace { is_source: false, .. }), .. }),
        ) => "renamed",
        (Action::Rename, _) => "renamed something to",
        (Action::Link, Object::File(FileObject { other: Some(OtherPlace { is_source: false, .. }), .. })) => {
            "made a hard link of"
        }
        (Action::Link, _) => "made the hard link",
        (Action::Symlink, _) => "made the symbolic link",
        (Action::Unlink, _) => "removed",
        (Action::Chmod, _) => "changed the mode of",
        (Action::Chown, _) => "changed the owner of",
        (Action::Setxattr, _) => "changed the extended attributes of",
        (Action::Mount, _) => "mounted over",
        (Action::Umount, _) => "ended a mount over",
        (Action::Accept, _) => "accepted a connection to",
        (Action::Receive, Object::File(_)) => "was handed the open file",
        (Action::Receive, _) => "was handed a connection to",
        (Action::Ptrace, _) => "took control of",
        (Action::Masquerade, _) => "passes itself off as",
        (Action::Connect, _) if matches!(access.outcome, Outcome::Failure(_)) => "failed to connect to",
        (Action::Connect, _) => "connected to",
    };
    let what = match &access.object {
        Object::File(_) | Object::Mount(_) | Object::UnixSocket(_) => escaped_bytes(path),
        Object::Process(process) => format!("{}[{}]", escaped_bytes(&process.exe.path), process.pid),
        Object::InetSocket(inet) => std::net::SocketAddr::new(inet.dst_ip, inet.dst_port).to_string(),
    };
    if let (Action::Accept, Object::InetSocket(inet)) = (access.action, &access.object) {
        return format!("{} connected to {what}: {}", inet.src_ip, verdict.detail);
    }
    let who = match actor.pid {
        0 => "a process that is not known".to_owned(),
        pid => format!("{}[{pid}]", escaped_bytes(exe)),
    };
    format!("{who} {did} {what}: {}", verdict.detail)
}

/// What a manifest holds.
pub(super) fn manifest(target: Option<&Target>, manifest: &Manifest) -> String {
    let path = escaped(target.and_then(Target::path).unwrap_or_default());
    match (&manifest.problem, manifest.pods.as_slice()) {
        (Some(problem), _) => format!("{path}: {}", escaped(problem)),
        (None, []) => format!("{path} holds no pod"),
        (None, [first, others @ ..]) => {
            let more = if others.is_empty() { String::new() } else { format!(", and {} more", others.len()) };
            format!("{path} holds {}{more}", pod(first))
        }
    }
}

/// `pod kube-system/x privileged hostPID`
pub(crate) fn pod(pod: &ManifestPod) -> String {
    let name = escaped(pod.name.as_deref().unwrap_or("?"));
    let mut text = format!("pod {}/{name}", escaped(&pod.namespace));
    for (is_so, word) in [
        (!pod.namespace_valid, " in no valid namespace"),
        (pod.privileged, " privileged"),
        (pod.host_pid, " hostPID"),
        (pod.host_network, " hostNetwork"),
    ] {
        text += if is_so { word } else { "" };
    }
    text
}
