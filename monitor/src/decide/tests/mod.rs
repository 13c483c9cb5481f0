//! Rules and accesses without a kernel.

mod process;

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::access::{Actor, Ancestor, Executable, FileObject, InetObject, Object, ObjectKey, TargetId};
use crate::config::{HostNamespaces, Words};
use crate::identity::{Container, Pod, Source};
use crate::model::{Action, Group};

const KUBELET: &str = "/usr/bin/kubelet";

fn rule(id: &str, exe: &[&str], uid: &[u32], access: Option<Vec<Group>>) -> Rule {
    Rule {
        id: id.to_owned(),
        targets: vec![Class::StaticPodManifest],
        access,
        process: Processes {
            exe: exe.iter().map(PathBuf::from).collect(),
            uid: uid.to_vec(),
            ..Processes::default()
        },
        container: None,
        source: vec![],
        destination: vec![],
    }
}

fn access(exe: &str, ino: u64, uid: u32, action: Action) -> Access {
    let key = ObjectKey::new(1, 99);
    Access {
        boottime: 0,
        outcome: crate::access::Outcome::Unknown,
        target: TargetId(0),
        action,
        object: Object::File(FileObject {
            key,
            path_seen: vec![],
            path_inside: vec![],
            other: None,
            read: true,
            write: false,
            directory: false,
        }),
        actor: Actor {
            uid,
            euid: uid,
            exe: Executable { key: Some(ObjectKey::new(1, ino)), path: exe.into(), deleted: false },
            ..Actor::default()
        },
        truncated: false,
    }
}

/// The node's file of that path is inode 7.
fn file(path: &str) -> Option<NodeFile> {
    Some(NodeFile { path: path.into(), keys: vec![ObjectKey::new(1, 7)], ..NodeFile::default() })
}

/// The node's kubelet is inode 7.
fn table(rules: &[Rule]) -> ExeTable {
    let mut table = ExeTable::new(rules);
    table.set(Path::new(KUBELET), file(KUBELET));
    table
}

const NODE: Namespaces = Namespaces { mnt: 1, pid: 2, net: 3 };

fn decide(rules: &[Rule], class: Class, access: &Access, whose: &Whose) -> Verdict {
    Policy { rules, exes: &table(rules), node: NODE }.decide(class, access, whose)
}

fn reason(rules: &[Rule], access: &Access) -> Reason {
    decide(rules, Class::StaticPodManifest, access, &Whose::default()).reason
}

#[test]
fn the_reason_is_the_field_the_nearest_rule_failed_in() {
    let rules = [
        rule("other", &["/usr/bin/other"], &[], None),
        rule("kubelet", &[KUBELET], &[0], Some(vec![Group::Read])),
    ];
    for (exe, ino, uid, action, expected) in [
        (KUBELET, 7, 0, Action::Open, Reason::RuleMatched),
        // The same object under another name: a hard link, or the number of a removed file used again.
        ("/tmp/kubelet", 7, 0, Action::Open, Reason::ExeMismatch),
        (KUBELET, 8, 0, Action::Open, Reason::ExeNotNodeFile),
        ("/tmp/kubelet", 8, 0, Action::Open, Reason::ExeMismatch),
        (KUBELET, 7, 0, Action::Write, Reason::AccessNotAllowed),
        (KUBELET, 7, 1000, Action::Open, Reason::UidMismatch),
    ] {
        assert_eq!(reason(&rules, &access(exe, ino, uid, action)), expected, "{exe} {ino} {uid} {action}");
    }
    let other_class =
        decide(&rules, Class::RuntimeApi, &access(KUBELET, 7, 0, Action::Open), &Whose::default());
    assert_eq!(other_class.reason, Reason::NoRuleForTarget);
}

#[test]
fn a_set_user_id_program_is_not_its_owner() {
    let rules = [rule("kubelet", &[KUBELET], &[0], None)];
    for (uid, euid, expected) in
        [(0, 0, Reason::RuleMatched), (1000, 0, Reason::UidMismatch), (0, 1000, Reason::UidMismatch)]
    {
        let mut access = access(KUBELET, 7, uid, Action::Open);
        access.actor.euid = euid;
        assert_eq!(reason(&rules, &access), expected, "{uid} {euid}");
    }
}

fn of_containers(namespace: &str, pod: &str) -> Rule {
    let words = |text| vec![Words::new(text).unwrap()];
    let container = Containers { namespace: words(namespace), pod: words(pod), ..Containers::default() };
    Rule { container: Some(container), ..rule("etcd", &[], &[], None) }
}

fn of_pod(namespace: &str, name: &str, proven: bool) -> Whose {
    let container = Container { id: "abc".into(), runtime: None, name: None, image: None, sandbox_id: None };
    let (namespace, name) = (Some(namespace.to_owned()), Some(name.to_owned()));
    let pod = Pod { namespace, name, uid: None, is_static: false, source: Source::Bundle };
    Whose { container: Some(container), pod: Some(pod), proven, errors: Vec::new() }
}

#[test]
fn a_rule_about_containers_is_about_those_that_are_proven() {
    let rules = [of_containers("kube-system", "etcd-*")];
    let access = access("/usr/local/bin/etcd", 8, 0, Action::Open);
    let forged = Whose { errors: vec!["put elsewhere".to_owned()], ..Whose::default() };
    for (whose, expected) in [
        (of_pod("kube-system", "etcd-node1", true), Reason::RuleMatched),
        (of_pod("kube-system", "etcd-node1", false), Reason::ContainerUnknown),
        (of_pod("default", "etcd-node1", true), Reason::ContainerMismatch),
        (of_pod("kube-system", "web-0", true), Reason::ContainerMismatch),
        (Whose { pod: None, ..of_pod("", "", true) }, Reason::ContainerMismatch),
        (Whose::default(), Reason::ContainerMismatch),
        (forged, Reason::ContainerUnknown),
    ] {
        let verdict = decide(&rules, Class::StaticPodManifest, &access, &whose);
        assert_eq!(verdict.reason, expected, "{whose:?}");
    }
    let mut traced = access;
    traced.actor.traced = true;
    let whose = of_pod("kube-system", "etcd-node1", true);
    let verdict = decide(&rules, Class::StaticPodManifest, &traced, &whose);
    assert_eq!(verdict.reason, Reason::ProcessControlled);
}

#[test]
fn a_rule_about_containers_says_nothing_about_processes_of_the_node() {
    let rules = [of_containers("kube-system", "etcd-*"), rule("kubelet", &[KUBELET], &[], None)];
    assert_eq!(reason(&rules, &access("/usr/bin/cat", 9, 0, Action::Open)), Reason::ExeMismatch);
    assert_eq!(reason(&rules, &access(KUBELET, 7, 0, Action::Open)), Reason::RuleMatched);
}

#[test]
fn a_deleted_executable_is_nobody() {
    let rules = [rule("kubelet", &[KUBELET], &[], None)];
    let mut access = access(KUBELET, 7, 0, Action::Open);
    access.actor.exe.deleted = true;
    assert_eq!(reason(&rules, &access), Reason::ExeNotNodeFile);
}

/// The sign of a forgery must not hide behind a rule that says nothing about executables.
#[test]
fn another_file_at_an_allowed_path_is_the_reason_that_counts_most() {
    let kubelet = rule("kubelet", &[KUBELET], &[0], None);
    let (anyone, readers) =
        (rule("anyone", &[], &[1000], None), rule("readers", &[], &[], Some(vec![Group::Read])));
    let access = access(KUBELET, 8, 0, Action::Write);
    for rules in [[kubelet.clone(), anyone.clone(), readers.clone()], [readers, anyone, kubelet]] {
        assert_eq!(reason(&rules, &access), Reason::ExeNotNodeFile);
    }
}

#[test]
fn a_detail_says_what_is_known_of_the_executable() {
    let rules = [rule("kubelet", &[KUBELET], &[], None)];
    let detail = |executable: Executable| {
        let mut access = access(KUBELET, 8, 0, Action::Open);
        access.actor.exe = executable;
        decide(&rules, Class::StaticPodManifest, &access, &Whose::default()).detail
    };
    let key = Some(ObjectKey::new(1, 8));
    let names = "is not an executable that any rule for this target names";
    for (executable, expected) in [
        (Executable::default(), format!("a process without an executable {names}")),
        (Executable { key, ..Executable::default() }, format!("an executable of unknown path {names}")),
        (
            Executable { key, path: KUBELET.into(), deleted: false },
            format!("{KUBELET} has the path that rule kubelet names, but is not the node's file"),
        ),
        (
            Executable { key, path: KUBELET.into(), deleted: true },
            format!(
                "{KUBELET} is deleted or replaced since the process started; rule kubelet means the file that is there"
            ),
        ),
    ] {
        assert_eq!(detail(executable), expected);
    }
}

#[test]
fn the_nearest_rule_gives_the_reason_whatever_the_order() {
    let uid = rule("uid", &[KUBELET], &[5], None);
    let group = rule("group", &[KUBELET], &[0], Some(vec![Group::Write]));
    let exe = rule("exe", &["/x"], &[0], None);
    let access = access(KUBELET, 7, 0, Action::Open);
    for (rules, expected) in [
        (vec![exe.clone(), group.clone(), uid.clone()], Reason::UidMismatch),
        (vec![uid, group.clone(), exe.clone()], Reason::UidMismatch),
        (vec![exe.clone(), group.clone()], Reason::AccessNotAllowed),
        (vec![group, exe.clone()], Reason::AccessNotAllowed),
        (vec![exe], Reason::ExeMismatch),
    ] {
        assert_eq!(reason(&rules, &access), expected);
    }
}

#[test]
fn hostile_names_are_escaped_in_the_detail() {
    let rules = [rule("kubelet", &[KUBELET], &[], None)];
    let verdict = decide(
        &rules,
        Class::StaticPodManifest,
        &access("/a\u{1b}[2J", 8, 0, Action::Open),
        &Whose::default(),
    );
    assert_eq!(verdict.detail, "/a\\u{1b}[2J is not an executable that any rule for this target names");
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let exe = proptest::collection::vec(prop_oneof![Just(KUBELET), Just("/x")], 0..3);
    let uid = proptest::collection::vec(0u32..3, 0..3);
    let groups = proptest::collection::vec(prop_oneof![Just(Group::Read), Just(Group::Write)], 1..3);
    (exe, uid, proptest::option::of(groups)).prop_map(|(exe, uid, access)| rule("any", &exe, &uid, access))
}

proptest! {
    #[test]
    fn another_rule_never_forbids(rules in proptest::collection::vec(any_rule(), 0..4), more in any_rule(),
                                  ino in 6u64..9, uid in 0u32..3) {
        let access = access(KUBELET, ino, uid, Action::Open);
        let before = decide(&rules, Class::StaticPodManifest, &access, &Whose::default());
        let rules: Vec<_> = rules.into_iter().chain([more]).collect();
        let after = decide(&rules, Class::StaticPodManifest, &access, &Whose::default());
        prop_assert!(before.is_violation() || !after.is_violation());
    }

    #[test]
    fn without_rules_nothing_is_allowed(ino in 0u64..9, uid in 0u32..3) {
        let access = access(KUBELET, ino, uid, Action::Open);
        let verdict = decide(&[], Class::StaticPodManifest, &access, &Whose::default());
        prop_assert!(verdict.is_violation());
    }
}

#[test]
fn a_destination_is_a_network() {
    let networks = vec!["10.0.0.0/8".parse().unwrap()];
    let rules = [Rule { destination: networks, ..rule("peer", &[KUBELET], &[], None) }];
    let to = |ip: [u8; 4]| {
        let object = Object::InetSocket(InetObject {
            src_ip: [127, 0, 0, 1].into(),
            src_port: 1,
            dst_ip: ip.into(),
            dst_port: 2379,
            inbound: false,
            net_ns: 1,
        });
        let access = Access { object, ..access(KUBELET, 7, 0, Action::Connect) };
        decide(&rules, Class::StaticPodManifest, &access, &Whose::default()).reason
    };
    assert_eq!(to([10, 1, 2, 3]), Reason::RuleMatched);
    assert_eq!(to([11, 1, 2, 3]), Reason::DestinationMismatch);
    let file = access(KUBELET, 7, 0, Action::Open);
    let verdict = decide(&rules, Class::StaticPodManifest, &file, &Whose::default());
    assert_eq!(verdict.reason, Reason::DestinationMismatch);
}
