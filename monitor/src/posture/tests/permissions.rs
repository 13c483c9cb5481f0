//! Owners, modes, access control lists, and what containers have of the node.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use rustix::fs::{FileType, XattrFlags, setxattr};

use super::super::acl::{self, Entry};
use super::super::place::{Limit, Seen, is_closed};
use super::{Fixture, expect, node_of};
use crate::event::PostureResult::{self, Fail, NotApplicable, Pass, Unknown, Warn};
use crate::posture::Mounted;
use crate::running::program::Program;

fn seen(uid: u32, gid: u32, mode: u32, acl: Vec<Entry>) -> Seen {
    Seen { path: "/x".into(), kind: FileType::RegularFile, mode, uid, gid, acl }
}

#[test]
fn what_is_too_much_depends_on_what_it_is() {
    let named = |read, write| vec![Entry { user: true, id: 1000, read, write }];
    let etcd = Limit { mode: 0o700, secret: true, owner: Some(52) };
    for (found, limit, result) in [
        (seen(0, 0, 0o600, vec![]), Limit::SECRET, None),
        (seen(0, 0, 0o400, vec![]), Limit::SECRET, None),
        (seen(0, 0, 0o640, vec![]), Limit::SECRET, Some(Warn)),
        (seen(0, 50, 0o640, vec![]), Limit::SECRET, Some(Fail)),
        (seen(0, 0, 0o644, vec![]), Limit::SECRET, Some(Fail)),
        (seen(0, 0, 0o604, vec![]), Limit::SECRET, Some(Fail)),
        (seen(1000, 0, 0o600, vec![]), Limit::SECRET, Some(Fail)),
        (seen(52, 52, 0o700, vec![]), etcd, None),
        (seen(53, 52, 0o700, vec![]), etcd, Some(Fail)),
        (seen(0, 0, 0o755, vec![]), etcd, Some(Fail)),
        (seen(0, 0, 0o644, vec![]), Limit::CONFIG, Some(Warn)),
        (seen(0, 0, 0o666, vec![]), Limit::CONFIG, Some(Fail)),
        (seen(0, 50, 0o660, vec![]), Limit::CONFIG, Some(Fail)),
        (seen(0, 0, 0o644, vec![]), Limit::PUBLIC, None),
        (seen(0, 0, 0o777, vec![]), Limit::DIRECTORY, Some(Fail)),
        (seen(0, 0, 0o600, named(true, false)), Limit::SECRET, Some(Fail)),
        (seen(0, 0, 0o600, named(true, false)), Limit::CONFIG, Some(Warn)),
        (seen(0, 0, 0o600, named(true, true)), Limit::CONFIG, Some(Fail)),
        (seen(0, 0, 0o600, named(false, false)), Limit::SECRET, None),
    ] {
        let worst = |closed| found.judge(limit, closed).into_iter().map(|(result, _)| result).max();
        assert_eq!(worst(false), result, "{found:?} {limit:?}");
        // Behind a shut door nobody else reaches it, but its owner.
        let behind = result.map(|result| {
            if found.uid == 0 || Some(found.uid) == limit.owner { result.min(Warn) } else { result }
        });
        assert_eq!(worst(true), behind, "{found:?} {limit:?}");
    }
}

/// Only root makes files that are root's; for who is not, everything belongs to a stranger.
fn fine(result: PostureResult) -> PostureResult {
    if rustix::process::geteuid().is_root() { result } else { Fail }
}

#[test]
fn files_of_the_policy_are_looked_at_wherever_they_are() {
    let fixture = Fixture::new(&[
        ("/var/lib/kubelet/config.yaml", "readOnlyPort: 0\n"),
        ("/var/lib/kubelet/pki/kubelet-client-2026.pem", "x"),
        ("/var/lib/kubelet/pki/kubelet.crt", "x"),
        ("/etc/kubernetes/admin.conf", "x"),
        ("/etc/kubernetes/pki/ca.key", "x"),
        ("/etc/kubernetes/pki/etcd/server.key", "x"),
        ("/etc/kubernetes/manifests/x.yaml", "x"),
        ("/var/lib/etcd/member/snap/db", "x"),
    ]);
    fixture.link(
        "/var/lib/kubelet/pki/kubelet-client-2026.pem",
        "/var/lib/kubelet/pki/kubelet-client-current.pem",
    );
    fixture.mode("/var/lib/etcd", 0o700);
    fixture.mode("/var/lib/kubelet/pki/kubelet.crt", 0o644);
    const IDS: [&str; 6] = [
        "kubelet.file_permissions",
        "credentials.file_permissions",
        "certificates.file_permissions",
        "etcd.file_permissions",
        "static_pods.file_permissions",
        "static_pods.directory",
    ];
    expect(&fixture.look(), fine(Pass), &IDS);
    for (path, mode, id, result) in [
        ("/etc/kubernetes/pki/etcd/server.key", 0o644, IDS[1], Fail),
        ("/etc/kubernetes/admin.conf", 0o640, IDS[1], fine(Warn)),
        ("/var/lib/kubelet/pki/kubelet-client-2026.pem", 0o604, IDS[1], Fail),
        ("/var/lib/kubelet/config.yaml", 0o644, IDS[0], fine(Warn)),
        ("/var/lib/kubelet/config.yaml", 0o602, IDS[0], Fail),
        ("/var/lib/kubelet/pki/kubelet.crt", 0o646, IDS[2], Fail),
        ("/etc/kubernetes/pki", 0o777, IDS[2], Fail),
        ("/var/lib/etcd", 0o755, IDS[3], Fail),
        ("/var/lib/etcd", 0o711, IDS[3], Fail),
        ("/etc/kubernetes/manifests/x.yaml", 0o606, IDS[4], Fail),
        ("/etc/kubernetes/manifests", 0o777, IDS[5], Fail),
        ("/etc", 0o777, IDS[5], Fail),
        ("/etc", 0o1777, IDS[5], fine(Warn)),
    ] {
        let before = rustix::fs::stat(fixture.real(path)).unwrap().st_mode & 0o7777;
        fixture.mode(path, mode);
        let found = fixture.look();
        expect(&found, result, &[id]);
        assert!(
            found[id].evidence[0]
                .file
                .as_deref()
                .is_some_and(|file| path.ends_with(file) || file.contains(path) || result == Fail),
            "{:?}",
            found[id]
        );
        fixture.mode(path, before);
    }
}

/// k3s has its keys beside the files of every container.
#[test]
fn a_pattern_is_looked_for_no_deeper_than_it_goes() {
    let fixture = Fixture::new(&[
        ("/var/lib/rancher/k3s/agent/serving-kubelet.key", "x"),
        ("/var/lib/rancher/k3s/agent/client-ca.crt", "x"),
        ("/var/lib/rancher/k3s/agent/a/b/c/d/e/f/g/x.key", "x"),
    ]);
    fixture.mode("/var/lib/rancher/k3s/agent/a/b/c/d/e/f/g/x.key", 0o644);
    let found = fixture.look();
    expect(&found, fine(Pass), &["credentials.file_permissions", "certificates.file_permissions"]);
    fixture.mode("/var/lib/rancher/k3s/agent/client-ca.crt", 0o646);
    expect(&fixture.look(), Fail, &["certificates.file_permissions"]);
}

#[test]
fn a_shut_directory_shuts_what_is_in_it() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIP a_shut_directory_shuts_what_is_in_it: only root makes directories of root");
        return;
    }
    let fixture = Fixture::new(&[("/a/b/c.key", "x"), ("/d/", "")]);
    fixture.link("/d", "/a/link");
    let root = node_of(fixture.dir.path());
    assert!(!is_closed(&root, "/a/b/c.key".as_ref()));
    fixture.mode("/a", 0o700);
    assert!(is_closed(&root, "/a/b/c.key".as_ref()));
    // Which leads out of it again.
    assert!(!is_closed(&root, "/a/link".as_ref()));
    fixture.mode("/a", 0o710);
    assert!(!is_closed(&root, "/a/b/c.key".as_ref()));
}

#[test]
fn a_list_that_lets_others_in_is_found() {
    let fixture = Fixture::new(&[("/etc/kubernetes/pki/ca.key", "x"), ("/var/lib/kubelet/config.yaml", "")]);
    let list = acl::bytes(&[
        (1, 6, u32::MAX),
        (2, 6, 1000),
        (4, 0, u32::MAX),
        (0x10, 6, u32::MAX),
        (0x20, 0, u32::MAX),
    ]);
    let key = fixture.real("/etc/kubernetes/pki/ca.key");
    if setxattr(&key, "system.posix_acl_access", &list, XattrFlags::empty()).is_err() {
        println!(
            "SKIP a_list_that_lets_others_in_is_found: the file system here has no access control lists"
        );
        return;
    }
    let found = fixture.look();
    expect(&found, Fail, &["credentials.file_permissions"]);
    assert!(
        found["credentials.file_permissions"].detail.contains("user 1000 by its access control list"),
        "{found:#?}"
    );
}

#[test]
fn sockets_are_looked_at_and_not_used() {
    let fixture = Fixture::new(&[
        ("/var/lib/kubelet/config.yaml", ""),
        ("/run/containerd/s/", ""),
        ("/etc/kubernetes/manifests/", ""),
    ]);
    let listener = UnixListener::bind(fixture.real("/run/containerd/containerd.sock")).unwrap();
    let _shim = UnixListener::bind(fixture.real("/run/containerd/s/0f")).unwrap();
    listener.set_nonblocking(true).unwrap();
    fixture.mode("/run/containerd/containerd.sock", 0o660);
    fixture.mode("/run/containerd/s/0f", 0o600);
    expect(&fixture.look(), fine(Pass), &["runtime.socket_permissions"]);
    fixture.mode("/run/containerd/s/0f", 0o666);
    let found = fixture.look();
    expect(&found, Fail, &["runtime.socket_permissions"]);
    assert_eq!(found["runtime.socket_permissions"].evidence[0].file.as_deref(), Some("/run/containerd/s/0f"));
    fixture.mode("/run/containerd", 0o700);
    expect(&fixture.look(), fine(Warn), &["runtime.socket_permissions"]);
    assert!(listener.accept().is_err(), "somebody connected");
    fixture.write("/run/docker.sock", b"no socket");
    fixture.mode("/run/containerd/s/0f", 0o600);
    expect(&fixture.look(), fine(Unknown), &["runtime.socket_permissions"]);
}

#[test]
fn a_runtime_on_the_network_is_told() {
    let node = |files: &[(&str, &str)]| {
        let fixture =
            Fixture::new(&[("/var/lib/kubelet/config.yaml", ""), ("/etc/kubernetes/manifests/", "")]);
        files.iter().for_each(|(path, text)| fixture.write(path, text.as_bytes()));
        fixture
    };
    let config = "/etc/containerd/config.toml";
    for (files, result) in [
        (&[][..], NotApplicable),
        (&[(config, "version = 3\n")], Pass),
        (&[(config, "[grpc]\ntcp_address = '0.0.0.0:1234'\n")], Fail),
        (&[(config, "[grpc]\ntcp_address = '0.0.0.0:1234'\ntcp_tls_ca = '/ca'\n")], Warn),
        (&[(config, "[grpc\n")], Unknown),
        (
            &[("/etc/docker/daemon.json", r#"{"hosts": ["unix:///run/docker.sock", "tcp://0.0.0.0:2375"]}"#)],
            Fail,
        ),
        (&[("/etc/docker/daemon.json", r#"{"hosts": ["tcp://10.0.0.7:2376"], "tlsverify": true}"#)], Warn),
        (&[("/etc/docker/daemon.json", "{}")], Pass),
    ] {
        expect(&node(files).look(), result, &["runtime.network"]);
    }
    for (cmdline, result) in [
        ("dockerd -H fd://", Pass),
        ("dockerd -H fd:// -H tcp://0.0.0.0:2375", Fail),
        ("dockerd --host=tcp://127.0.0.1:2375", Fail),
        ("dockerd --host=tcp://10.0.0.7:2376 --tlsverify", Warn),
        ("dockerd --config-file=/none", Pass),
    ] {
        let files = [("/etc/docker/daemon.json", r#"{"hosts": ["unix:///run/docker.sock"]}"#)];
        let found = node(&files).runs(Program::Dockerd, cmdline, b"").look();
        expect(&found, result, &["runtime.network"]);
    }
    let fixture = node(&[("/c.toml", "[grpc]\ntcp_address = 'x'\n")]);
    expect(
        &fixture.runs(Program::Containerd, "containerd -c /c.toml", b"").look(),
        Fail,
        &["runtime.network"],
    );
}

#[test]
fn what_containers_have_of_the_node_is_judged_by_where_it_leads() {
    let mounted = |mounts: &[(&str, bool)]| Mounted {
        pid: 7,
        mounts: mounts
            .iter()
            .map(|(path, read_only)| (PathBuf::from("/inside"), PathBuf::from(path), *read_only))
            .collect(),
        ..Mounted::default()
    };
    let mut fixture =
        Fixture::new(&[("/var/lib/kubelet/config.yaml", ""), ("/etc/kubernetes/manifests/", "")]);
    for (mounts, result) in [
        (&[("/var/lib/kubelet/pods/1/etc-hosts", false), ("/proc", false)][..], Pass),
        (&[("/run/containerd", true)], Fail),
        (&[("/", true)], Fail),
        (&[("/etc/kubernetes/manifests", false)], Fail),
        (&[("/etc/kubernetes/manifests", true)], Warn),
        (&[("/var/lib/etcd", true)], Fail),
    ] {
        fixture.containers = Ok((vec![mounted(mounts)], Vec::new()));
        expect(&fixture.look(), result, &["containers.host_paths"]);
    }
    fixture.containers = Ok((vec![mounted(&[])], vec!["3 processes may not be looked at".to_owned()]));
    expect(&fixture.look(), Unknown, &["containers.host_paths"]);
    fixture.containers = Err("mounts are not known".to_owned());
    expect(&fixture.look(), Unknown, &["containers.host_paths"]);
}
