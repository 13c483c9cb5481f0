//! Is what was used the door that is meant? The kernel matches objects, names and numbers; not every use of those is one of the door.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use ipnet::IpNet;

use crate::access::{InetObject, Object};
use crate::decide::destination_counts;
use crate::decode::Decoded;
use crate::model::Action;
use crate::node::Namespaces;
use crate::target::{Target, What};
use crate::watch::{above, beneath};

/// A port is a door only at some addresses: other things listen on the same numbers elsewhere. A socket is one only to
/// those who connect: an attempt to open it as a file reaches a hook, and nobody.
pub(super) fn is_door(target: &Target, decoded: &Decoded, node: Namespaces, own: &[IpNet]) -> bool {
    let access = &decoded.access;
    match (&target.what, &access.object) {
        // In a mount namespace of its own, what covers a directory above the target hides it from its own processes only.
        (_, Object::Mount(mount)) if decoded.ancestor => mount.shared || access.actor.mnt_ns == node.mnt,
        (What::Path(_) | What::Glob { .. } | What::Socket(_) | What::Sockets { .. }, Object::Mount(_)) => {
            true
        }
        (What::Socket(_) | What::Sockets { .. }, Object::File(_)) => {
            !matches!(access.action, Action::Open | Action::Write)
        }
        (What::Port { destinations, .. }, Object::InetSocket(inet)) => {
            destination_counts(destinations, own, node.net, inet)
        }
        (What::Path(_) | What::Glob { .. }, Object::File(_))
        | (What::Socket(_) | What::Sockets { .. }, Object::UnixSocket(_)) => true,
        (
            What::Path(_) | What::Glob { .. } | What::Socket(_) | What::Sockets { .. } | What::Port { .. },
            _,
        ) => false,
    }
}

/// Whether a connection comes from the node itself.
pub(super) fn is_from_here(inet: &InetObject, own: &[IpNet]) -> bool {
    inet.src_ip.is_loopback() || own.iter().any(|own| own.contains(&inet.src_ip))
}

/// Whether the place is the target's or beneath it. While a path is missing, its first missing name is watched: what is made there
/// is no access yet, but what is moved or linked there may bring the rest of the path along.
pub(super) fn is_at(target: &Target, decoded: &Decoded, path: &[u8]) -> bool {
    let fits = !matches!(decoded.access.object, Object::UnixSocket(_))
        || target.has_socket_at(Path::new(OsStr::from_bytes(path)));
    decoded.ancestor
        || path.is_empty()
        || fits && beneath(target, path)
        || matches!(decoded.access.action, Action::Rename | Action::Symlink) && above(target, path)
}
