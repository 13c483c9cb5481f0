//! Files that somebody made to hide behind, or to do harm to whoever reads them.

use std::fs::File;

use proptest::prelude::*;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, mknodat, stat, utimensat};

use super::super::table;
use super::{CLUSTER, ETCD, Fixture, expect};
use crate::event::PostureResult::{Fail, Unknown};
use crate::event::{LINE_MAX, samples};
use crate::posture::checks;
use crate::running::program::Program;

const CONFIG: &str = "authentication: {x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}}\n";

fn kubelet(fixture: Fixture) -> Fixture {
    fixture.runs(Program::Kubelet, "kubelet --config=/var/lib/kubelet/config.yaml --config-dir=/k/d", b"")
}

#[test]
fn nobody_waits_for_or_is_filled_by_what_is_no_file() {
    let fixture =
        Fixture::new(&[("/etc/kubernetes/manifests/", ""), ("/var/lib/kubelet/", ""), ("/k/d/", "")]);
    let fixture = kubelet(fixture);
    let huge = File::create(fixture.real("/var/lib/kubelet/config.yaml")).unwrap();
    huge.set_len(1 << 40).unwrap();
    let found = fixture.look();
    expect(&found, Unknown, &["kubelet.anonymous_auth", "kubelet.authorization_mode"]);
    assert!(
        found["kubelet.anonymous_auth"].detail.contains("larger than"),
        "{:?}",
        found["kubelet.anonymous_auth"]
    );
    std::fs::remove_file(fixture.real("/var/lib/kubelet/config.yaml")).unwrap();
    mknodat(CWD, fixture.real("/var/lib/kubelet/config.yaml"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    expect(&fixture.look(), Unknown, &["kubelet.anonymous_auth"]);
}

#[test]
fn links_that_lead_round_or_out_are_not_followed_for_ever() {
    let fixture = Fixture::new(&[("/etc/kubernetes/pki/ca.crt", CLUSTER), ("/k/d/", "")]);
    fixture.link("config.yaml", "/var/lib/kubelet/config.yaml");
    fixture.link("..", "/etc/kubernetes/pki/round");
    fixture.link("pods", "/etc/kubernetes/manifests");
    fixture.link("manifests", "/etc/kubernetes/pods");
    fixture.link(".", "/k/d/x.conf");
    let found = kubelet(fixture).look();
    expect(
        &found,
        Unknown,
        &["kubelet.anonymous_auth", "static_pods.invisible", "static_pods.file_permissions"],
    );
    assert!(
        found["static_pods.invisible"].detail.contains("Too many levels of symbolic links"),
        "{found:#?}"
    );
    // A link stays inside the root.
    let fixture = Fixture::new(&[("/k/d/", "")]);
    fixture.link("/../../../../etc/passwd", "/var/lib/kubelet/config.yaml");
    expect(&kubelet(fixture).look(), Unknown, &["kubelet.anonymous_auth"]);
}

#[test]
fn more_than_is_read_is_never_fine() {
    let fixture =
        Fixture::new(&[("/var/lib/kubelet/config.yaml", CONFIG), ("/etc/kubernetes/pki/ca.crt", CLUSTER)]);
    // The last of them would not be kept.
    let padding = "port: 1\n".repeat(300);
    fixture.write(
        "/k/d/10.conf",
        format!("{padding}authentication: {{anonymous: {{enabled: true}}}}\n").as_bytes(),
    );
    expect(&kubelet(fixture).look(), Unknown, &["kubelet.anonymous_auth"]);
    let fixture =
        Fixture::new(&[("/var/lib/kubelet/config.yaml", CONFIG), ("/etc/kubernetes/pki/ca.crt", CLUSTER)]);
    for index in 0..70 {
        fixture.write(&format!("/k/d/{index:02}.conf"), b"port: 10250\n");
    }
    expect(&kubelet(fixture).look(), Unknown, &["kubelet.anonymous_auth"]);
    let fixture =
        Fixture::new(&[("/var/lib/kubelet/config.yaml", CONFIG), ("/etc/kubernetes/pki/ca.crt", CLUSTER)]);
    fixture.write("/k/d/a/b/c/d/e/10.conf", b"authentication: {anonymous: {enabled: true}}\n");
    expect(&kubelet(fixture).look(), Unknown, &["kubelet.anonymous_auth"]);
    // As deep as is looked, it counts.
    let fixture =
        Fixture::new(&[("/var/lib/kubelet/config.yaml", CONFIG), ("/etc/kubernetes/pki/ca.crt", CLUSTER)]);
    fixture.write("/k/d/a.d/b/10.conf", b"authentication: {anonymous: {enabled: true}}\n");
    expect(&kubelet(fixture).look(), Fail, &["kubelet.anonymous_auth"]);
}

/// When a file was read last is what an investigator looks for.
#[test]
fn a_look_leaves_no_trace() {
    let fixture = super::kubeadm::kubeadm();
    let paths = [
        "/var/lib/kubelet/config.yaml",
        "/etc/kubernetes/manifests",
        "/etc/kubernetes/manifests/etcd.yaml",
        "/etc/kubernetes/pki/ca.crt",
        "/etc/kubernetes/pki/etcd/ca.crt",
    ];
    let long_ago = Timespec { tv_sec: 1000, tv_nsec: 0 };
    let times =
        Timestamps { last_access: long_ago, last_modification: Timespec { tv_sec: 2000, tv_nsec: 0 } };
    for path in paths {
        utimensat(CWD, fixture.real(path), &times, AtFlags::empty()).unwrap();
    }
    fixture.look();
    for path in paths {
        assert_eq!(stat(fixture.real(path)).unwrap().st_atime, 1000, "{path}");
    }
}

#[test]
fn names_that_move_the_cursor_reach_no_terminal() {
    let fixture = Fixture::new(&[("/var/lib/kubelet/config.yaml", CONFIG), ("/k/d/", "")]);
    let name = "/etc/kubernetes/manifests/\u{1b}[31m\n\u{202e}.yaml";
    fixture.write(
        name,
        "kind: Pod\nmetadata: {namespace: \"\\e[2J\\u202e\"}\nspec: {containers: []}\n".as_bytes(),
    );
    let found = kubelet(fixture).look();
    expect(&found, Fail, &["static_pods.invisible"]);
    let found: Vec<_> = checks::ALL.iter().map(|check| (check.rule, found[check.rule.id].clone())).collect();
    let text = table::table("node\u{1b}[0m", &found, false);
    assert!(text.chars().all(|char| char == '\n' || !char.is_control() && char != '\u{202e}'), "{text:?}");
    assert!(text.starts_with("node\\u{1b}[0m\n"));
    assert_eq!(text.matches("\u{1b}").count(), 0);
    assert!(table::table("", &found, true).contains("\u{1b}[31m"), "colour is there where it was asked for");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_file_is_read_and_any_line_is_short(bytes in proptest::collection::vec(any::<u8>(), 0..3000), name in "[^/\0]{1,80}") {
        let fixture = Fixture::new(&[("/k/d/", ""), ("/etc/kubernetes/pki/etcd/ca.crt", ETCD)]);
        for path in ["/var/lib/kubelet/config.yaml", "/etc/kubernetes/pki/ca.crt", "/etc/containerd/config.toml", "/etc/docker/daemon.json", "/etc/passwd"] {
            fixture.write(path, &bytes);
        }
        prop_assume!(name != "." && name != "..");
        fixture.write(&format!("/etc/kubernetes/manifests/{name}"), &bytes);
        let fixture = fixture
            .runs(Program::Etcd, "etcd --trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt", b"")
            .runs(Program::Apiserver, "kube-apiserver --client-ca-file=/etc/kubernetes/pki/ca.crt", b"");
        let kubelet = "kubelet --config=/var/lib/kubelet/config.yaml --client-ca-file=/etc/kubernetes/pki/ca.crt";
        let found = fixture.runs(Program::Kubelet, kubelet, b"").look();
        prop_assert_eq!(found["etcd.separate_ca"].result, Unknown);
        for (check, seq) in checks::ALL.iter().zip(1..) {
            let posture = found[check.rule.id].clone();
            let mut event = samples::context().posture(check.rule, check.severity, posture);
            event.seq = seq;
            let line = crate::event::line(&mut event).unwrap();
            prop_assert!(line.len() <= LINE_MAX, "{} bytes", line.len());
        }
    }
}
