//! Every action on every class that it can happen to.

use super::*;
use crate::access::{MountObject, OtherPlace, ProcessObject};
use crate::config::applies;

const ACTIONS: [Action; 18] = [
    Action::Open,
    Action::Create,
    Action::Write,
    Action::Truncate,
    Action::Rename,
    Action::Link,
    Action::Symlink,
    Action::Unlink,
    Action::Chmod,
    Action::Chown,
    Action::Setxattr,
    Action::Mount,
    Action::Umount,
    Action::Connect,
    Action::Accept,
    Action::Receive,
    Action::Ptrace,
    Action::Masquerade,
];

/// Alerts, with the class and the action as their name.
pub(crate) fn every() -> Vec<(String, Event)> {
    let mut events = Vec::new();
    for class in Class::ALL {
        let accesses = ACTIONS
            .into_iter()
            .flat_map(|action| objects(class, action).into_iter().map(move |object| (action, object)));
        for (action, object) in accesses {
            let kind = match &object {
                Object::File(_) => "file",
                Object::Mount(_) => "mount",
                Object::UnixSocket(_) => "unix_socket",
                Object::InetSocket(_) => "inet_socket",
                Object::Process(_) => "process",
            };
            let path: &[u8] =
                if matches!(object, Object::InetSocket(_)) { b"" } else { b"/run/door/file.sock" };
            let other: &[u8] = if action == Action::Rename { b"/tmp/from" } else { b"" };
            let access = access(action, object, stranger());
            if access.group().is_some_and(|group| !applies(class, group)) {
                continue;
            }
            let whose = whose("etcd-node1:3.5@sha256:0f");
            let facts = Facts { other: other.to_vec(), unit: None, whose, ..facts(path) };
            let event = context().access(class, &access, facts, violation("no rule names /memfd:x"));
            events.push((format!("{class} {action} {kind}"), event));
        }
    }
    events
}

fn objects(class: Class, action: Action) -> Vec<Object> {
    let read = matches!(action, Action::Open | Action::Receive);
    let has_port = matches!(class, Class::StaticPodManifest | Class::DatastoreApi | Class::KubeletApi);
    let has_socket = matches!(class, Class::RuntimeApi | Class::DatastoreApi);
    let key = ObjectKey::new(25, 1234);
    let from = (IpAddr::from([10, 0, 0, 9]), 40_000);
    let outbound = inet(None, IpAddr::from(Ipv6Addr::LOCALHOST), 2379);
    let sockets = || {
        let port = has_port.then(|| outbound.clone());
        port.into_iter().chain(has_socket.then(|| unix(b"/host/c.sock")))
    };
    match action {
        Action::Connect => sockets().collect(),
        Action::Accept if has_port => vec![inet(Some(from), IpAddr::from([10, 0, 0, 5]), 2379)],
        Action::Accept => vec![],
        Action::Receive => {
            let file = applies(class, Group::Read).then(|| file(b"/seen", read, false));
            sockets().chain(file).collect()
        }
        Action::Ptrace | Action::Masquerade => {
            let exe = executable(b"/usr/bin/kubelet", 5);
            vec![Object::Process(ProcessObject { pid: 77, start: 5, exe })]
        }
        Action::Mount | Action::Umount => vec![Object::Mount(MountObject {
            key,
            path_seen: b"/seen".to_vec(),
            source: b"/tmp/x".to_vec(),
            fstype: b"tmpfs".to_vec(),
            shared: false,
        })],
        // What is done to a socket's name is done to a file.
        Action::Rename => {
            let Object::File(file) = file(b"/seen", false, false) else { return vec![] };
            let other = Some(OtherPlace { path_inside: vec![], is_source: true });
            vec![Object::File(FileObject { other, ..file })]
        }
        _ => vec![file(b"/seen", read, matches!(action, Action::Write | Action::Create))],
    }
}
