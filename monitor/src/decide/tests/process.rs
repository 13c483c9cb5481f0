//! What a process is beyond its executable.

use super::*;

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
