//! What a process is beyond its executable.

use super::*;
use crate::access::Actor;
use crate::hash::{Digest, Hashed};

/// A rule about the kubelet with a further field.
fn of_process(further: impl FnOnce(&mut Processes)) -> Rule {
    let mut rule = rule("kubelet", &[KUBELET], &[], None);
    further(&mut rule.process);
    rule
}

#[test]
fn arguments_are_those_after_the_name_and_all_of_them() {
    let rules = [of_process(|process| process.args = vec![Words::line("get *").unwrap()])];
    let args = |args: &[&str]| Some(args.iter().map(|arg| arg.as_bytes().to_vec()).collect());
    for (args, truncated, expected) in [
        (args(&["/x", "get", "/registry"]), false, Reason::RuleMatched),
        (args(&["/x", "get", "/registry"]), true, Reason::ArgsMismatch),
        (args(&["get", "x"]), false, Reason::ArgsMismatch),
        (args(&["/x", "put", "get x"]), false, Reason::ArgsMismatch),
        (args(&[]), false, Reason::ArgsMismatch),
        (None, false, Reason::ArgsMismatch),
    ] {
        let mut access = access(KUBELET, 7, 0, Action::Open);
        access.actor.args = args;
        access.actor.args_truncated = truncated;
        assert_eq!(reason(&rules, &access), expected, "{:?}", access.actor.args);
    }
}

#[test]
fn an_ancestor_is_the_file_of_the_node() {
    let rules = [Rule {
        process: Processes { ancestors: vec![KUBELET.into()], ..Processes::default() },
        ..rule("probes", &[], &[], None)
    }];
    let ancestor = |path: &str, ino, deleted| Ancestor {
        exe: Executable { key: Some(ObjectKey::new(1, ino)), path: path.into(), deleted },
        ..Ancestor::default()
    };
    for (ancestors, expected) in [
        (vec![ancestor("/bin/sh", 8, false), ancestor(KUBELET, 7, false)], Reason::RuleMatched),
        (vec![ancestor(KUBELET, 8, false)], Reason::AncestorMismatch),
        (vec![ancestor(KUBELET, 7, true)], Reason::AncestorMismatch),
        (vec![ancestor("/bin/sh", 8, false)], Reason::AncestorMismatch),
        (vec![], Reason::AncestorMismatch),
    ] {
        let mut access = access("/bin/cat", 9, 0, Action::Open);
        access.actor.ancestors = ancestors;
        assert_eq!(reason(&rules, &access), expected, "{:?}", access.actor.ancestors);
        access.actor.traced = true;
        assert_eq!(reason(&rules, &access), Reason::ProcessControlled);
    }
}

#[test]
fn of_a_process_that_nobody_could_describe_nothing_is_right() {
    for rules in [
        [of_process(|process| process.uid = vec![0])],
        [of_process(|process| process.host_ns = HostNamespaces { mnt: Some(false), pid: None, net: None })],
    ] {
        let mut access = access(KUBELET, 7, 0, Action::Open);
        access.actor = Actor { pid: 7, tid: 7, ..Actor::default() };
        assert_ne!(reason(&rules, &access), Reason::RuleMatched);
    }
}

#[test]
fn namespaces_are_compared_with_those_of_the_node() {
    for (mnt, pid, net, fits) in [
        (Some(true), Some(true), Some(true), true),
        (Some(true), None, None, true),
        (Some(false), None, None, false),
        (None, Some(false), None, false),
        (None, None, Some(false), false),
    ] {
        let rules = [of_process(|process| process.host_ns = HostNamespaces { mnt, pid, net })];
        let mut access = access(KUBELET, 7, 0, Action::Open);
        access.actor.mnt_ns = NODE.mnt;
        access.actor.pid_ns = NODE.pid;
        access.actor.net_ns = NODE.net;
        let expected = if fits { Reason::RuleMatched } else { Reason::NamespaceMismatch };
        assert_eq!(reason(&rules, &access), expected);
        access.actor.net_ns = 9;
        let expected = if net.is_none() && fits { Reason::RuleMatched } else { Reason::NamespaceMismatch };
        let expected = if net == Some(false) { Reason::RuleMatched } else { expected };
        assert_eq!(reason(&rules, &access), expected);
    }
}

#[test]
fn a_unit_is_one_of_the_node() {
    let unit = Words::new("kubelet.service").unwrap();
    let rules = [of_process(|process| process.unit = vec![unit])];
    for (cgroup, reason) in [
        ("/system.slice/kubelet.service", Reason::RuleMatched),
        ("/system.slice/cron.service", Reason::UnitMismatch),
        ("/user.slice/user-0.slice/user@0.service/kubelet.service", Reason::UnitMismatch),
        ("/", Reason::UnitMismatch),
    ] {
        let mut access = access(KUBELET, 7, 0, Action::Open);
        access.actor.cgroup = cgroup.into();
        let verdict = decide(&rules, Class::StaticPodManifest, &access, &Whose::default());
        assert_eq!(verdict.reason, reason, "{cgroup}: {}", verdict.detail);
    }
}

#[test]
fn a_content_is_what_is_known_for_certain() {
    let pinned = of_process(|process| process.sha256 = vec![Digest([1; 32]), Digest([2; 32])]);
    let mut bare = pinned.clone();
    bare.process.exe.clear();
    let hashed = |byte, certain| Some(Hashed { digest: Digest([byte; 32]), certain });
    for (hash, expected) in [
        (hashed(1, true), Reason::RuleMatched),
        (hashed(2, true), Reason::RuleMatched),
        (hashed(3, true), Reason::Sha256Mismatch),
        (hashed(1, false), Reason::Sha256Mismatch),
        (None, Reason::Sha256Mismatch),
    ] {
        let mut access = access(KUBELET, 7, 0, Action::Open);
        access.actor.exe_hash = hash;
        for rule in [&pinned, &bare] {
            assert_eq!(reason(std::slice::from_ref(rule), &access), expected, "{hash:?}");
        }
    }
    // A rule about any executable does not hide which one another rule is about.
    let mut other = access(KUBELET, 8, 0, Action::Open);
    other.actor.exe_hash = hashed(3, true);
    assert_eq!(reason(&[bare.clone(), pinned.clone()], &other), Reason::ExeNotNodeFile);
    let copy = access("/tmp/x", 8, 0, Action::Open);
    assert_eq!(reason(&[pinned], &copy), Reason::ExeMismatch);
    assert_eq!(reason(&[bare], &copy), Reason::Sha256Mismatch);
}

#[test]
fn whoever_controls_a_pinned_process_is_pinned_too() {
    let rules = [of_process(|process| process.sha256 = vec![Digest([1; 32])])];
    let exe = Executable { key: Some(ObjectKey::new(1, 7)), path: KUBELET.into(), deleted: false };
    let mut access = access(KUBELET, 7, 0, Action::Ptrace);
    access.object = Object::Process(crate::access::ProcessObject { pid: 1, start: 0, exe });
    for (byte, violates) in [(1, false), (2, true)] {
        access.actor.exe_hash = Some(Hashed { digest: Digest([byte; 32]), certain: true });
        let policy = Policy { rules: &rules, exes: &table(&rules), node: NODE };
        assert_eq!(policy.control(&access).unwrap().1.is_violation(), violates);
    }
}

#[test]
fn whoever_passes_himself_off_as_an_allowed_process_is_none() {
    let rules = [of_process(|_| {})];
    let exe = Executable { key: Some(ObjectKey::new(1, 7)), path: KUBELET.into(), deleted: false };
    let policy = Policy { rules: &rules, exes: &table(&rules), node: NODE };
    for (ino, expected) in [(7, Reason::RuleMatched), (8, Reason::ExeMismatch)] {
        let mut access = access(KUBELET, ino, 0, Action::Masquerade);
        access.object = Object::Process(crate::access::ProcessObject { pid: 1, start: 0, exe: exe.clone() });
        assert_eq!(policy.control(&access).unwrap().1.reason, expected);
    }
}

/// The kernel's word is about the object, whose path can be changed and changed back.
#[test]
fn an_allowed_file_is_itself_at_any_path_and_for_every_rule_about_it() {
    let own = of_process(|process| process.exe.push("/usr/bin/foo".into()));
    let other = of_process(|_| {});
    let ancestor = of_process(|process| {
        process.ancestors = process.exe.clone();
        process.exe = vec!["/usr/bin/crictl".into()];
    });
    let exe = Executable { key: Some(ObjectKey::new(1, 7)), path: "/tmp/k".into(), deleted: false };
    let judged = |rules: &[Rule], ino| {
        let mut access = access("/usr/bin/foo", ino, 0, Action::Masquerade);
        access.object = Object::Process(crate::access::ProcessObject { pid: 1, start: 0, exe: exe.clone() });
        let mut exes = table(rules);
        let foo = NodeFile { keys: vec![ObjectKey::new(1, 9)], ..file("/usr/bin/foo").unwrap() };
        exes.set(Path::new("/usr/bin/foo"), Some(foo));
        let policy = Policy { rules, exes: &exes, node: NODE };
        policy.control(&access).map(|(_, verdict)| verdict.is_violation())
    };
    assert_eq!(judged(std::slice::from_ref(&own), 9), Some(false));
    assert_eq!(judged(std::slice::from_ref(&own), 8), Some(true));
    assert_eq!(judged(&[own, other], 9), Some(true));
    assert_eq!(judged(&[ancestor], 9), Some(true));
}
