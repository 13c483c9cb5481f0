//! What can be said about an access beyond what the kernel said of it.

use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use ipnet::IpNet;

use crate::access::{Access, Actor, FileObject, Object, TargetId};
use crate::decode::Decoded;
use crate::event::Facts;
use crate::identity::Whose;
use crate::node::Namespaces;
use crate::target::Target;
use crate::watch::{Hint, Keeper};

/// The object's path on the node, the actor's unit, whether a destination is this node. Whose container the actor is takes files to
/// find out, and is left to who knows that the access counts.
pub fn facts(
    decoded: &Decoded,
    target: &Target,
    id: TargetId,
    keeper: &Keeper,
    node: Namespaces,
    own: &[IpNet],
) -> Facts {
    let Decoded { access, below, ancestor, across, errors, .. } = decoded;
    let Access { object, actor, .. } = access;
    let plan = keeper.plan();
    let on_node = actor.mnt_ns == node.mnt;
    let hint = Hint { target: id, below: *below, ancestor: *ancestor, across: *across, on_node };
    let other = match object {
        Object::File(FileObject { key, other: Some(other), .. }) => Some(plan.other(key.dev, other)),
        _ => None,
    };
    let path = match object {
        Object::File(file) => plan.file(target, hint, file),
        Object::Mount(mount) => plan.mount(target, hint, mount),
        Object::UnixSocket(socket) => plan.socket(target, socket),
        Object::InetSocket(_) | Object::Process(_) => None,
    };
    let local = match object {
        Object::InetSocket(inet) => is_local(inet.dst_ip, own),
        Object::File(_) | Object::Mount(_) | Object::UnixSocket(_) | Object::Process(_) => true,
    };
    let bytes = |path: Option<PathBuf>| path.map(|path| path.into_os_string().into_vec()).unwrap_or_default();
    Facts {
        path: bytes(path),
        other: bytes(other),
        unit: unit(&actor.cgroup),
        whose: Whose::default(),
        local,
        errors: errors.clone(),
    }
}

/// What can be said where the object is known already.
pub fn of_actor(actor: &Actor, whose: Whose) -> Facts {
    Facts { unit: unit(&actor.cgroup), whose, local: true, ..Facts::default() }
}

fn is_local(address: IpAddr, own: &[IpNet]) -> bool {
    address.is_loopback() || address.is_unspecified() || own.iter().any(|own| own.contains(&address))
}

/// The innermost systemd unit of a cgroup path.
pub(crate) fn unit(cgroup: &[u8]) -> Option<String> {
    cgroup
        .rsplit(|byte| *byte == b'/')
        .filter_map(|name| std::str::from_utf8(name).ok())
        .find(|name| name.ends_with(".service") || name.ends_with(".scope"))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_the_innermost_one() {
        let cases = [
            ("/system.slice/kubelet.service", Some("kubelet.service")),
            ("/user.slice/user-0.slice/session-3.scope", Some("session-3.scope")),
            ("/system.slice/a.service/b.service/inner", Some("b.service")),
            ("/kubepods/besteffort/pod1/abc", None),
            ("/", None),
            ("", None),
        ];
        for (cgroup, unit_name) in cases {
            assert_eq!(unit(cgroup.as_bytes()).as_deref(), unit_name, "{cgroup}");
        }
    }
}
