//! One sentence for people.

use super::text::escaped_bytes;
use crate::access::{Access, Object, UnixObject};
use crate::model::Action;
use crate::verdict::Verdict;

pub(super) fn access(access: &Access, path: &[u8], verdict: &Verdict) -> String {
    let actor = &access.actor;
    let exe = if actor.exe.path.is_empty() { &actor.comm } else { &actor.exe.path };
    let did = match (access.action, &access.object) {
        (Action::Open, _) => "opened",
        (Action::Create, _) => "created",
        (Action::Write, _) => "opened for writing",
        (Action::Connect, Object::UnixSocket(UnixObject { errno: Some(_), .. })) => "failed to connect to",
        (Action::Connect, _) => "connected to",
    };
    let what = match &access.object {
        Object::File(_) | Object::UnixSocket(_) => escaped_bytes(path),
        Object::InetSocket(inet) => std::net::SocketAddr::new(inet.dst_ip, inet.dst_port).to_string(),
    };
    format!("{}[{}] {did} {what}: {}", escaped_bytes(exe), actor.pid, verdict.detail)
}
