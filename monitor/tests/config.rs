//! What the operator reads when a policy is wrong.

use std::fs;
use std::path::Path;

use monitor::config::load;

/// The messages about a policy, without the file's name.
#[expect(clippy::unwrap_used, reason = "clippy sees no test in a helper of tests")]
fn messages(text: impl AsRef<[u8]>) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("policy.yaml");
    fs::write(&path, text).unwrap();
    let shown = load(Some(&path)).map_or_else(|errors| errors.to_string(), |_| "valid".to_owned());
    let name = format!("{}:", path.display());
    shown.lines().map(|line| line.strip_prefix(&name).unwrap_or(line).to_owned()).collect()
}

fn check(prefix: &str, suffix: &str, cases: &[(&str, &[&str])]) {
    for (text, expected) in cases {
        assert_eq!(messages(format!("{prefix}{text}{suffix}")), *expected, "{text}");
    }
}

#[test]
fn the_file_as_a_whole() {
    check(
        "",
        "",
        &[
            ("", &["1:1: the file is empty; write at least `version: 1`"]),
            ("version: 1\n", &["valid"]),
            ("version: 2\n", &["1:10: version 2 is not known; write `version: 1`"]),
            ("version: one\n", &["1:10: this value cannot stand here; write a whole number"]),
            ("profile: none\n", &["1:1: `version` is missing here; add it"]),
            ("version: 1\nversion: 1\n", &["2:1: the key `version` is given twice; keep one"]),
            (
                "version: 1\nprofil: none\n",
                &[
                    "2:1: unknown key `profil`; did you mean `profile`? known here: version, profile, targets, allow, severity, discover",
                ],
            ),
            (
                "version: 1\n\"a\\nb\": 1\n",
                &[
                    "2:1: unknown key `a\\nb`; known here: version, profile, targets, allow, severity, discover",
                ],
            ),
            (
                "version: 1\nprofile: k4s\n",
                &[
                    "2:10: unknown word `k4s`; did you mean `k0s`? known here: auto, kubeadm, k3s, rke2, k0s, microk8s, openshift, eks, aks, gke, bottlerocket, talos, kind, minikube, none",
                ],
            ),
            ("version: 1\n---\nversion: 1\n", &["3:1: a second document begins here; keep one"]),
            ("- 1\n", &["1:1: this cannot stand here; write keys with values, as `key: value`"]),
            (
                "version: 1\nallow: {}\n",
                &["2:8: this cannot stand here; write a list, as [a, b], or leave the key out"],
            ),
            (
                "version: 1\nallow: *a\n",
                &[
                    "2:8: alias references unknown anchor; see `bypassd config show` for a policy that is right",
                ],
            ),
        ],
    );
}

#[test]
fn targets() {
    check(
        "version: 1\ntargets: {",
        "}\n",
        &[
            (
                "static_pod_manifest: {paths: [etc]}",
                &["2:41: `etc` is not an absolute path; begin it with /"],
            ),
            (
                "static_pod_manifest: {ports: [0]}",
                &["2:41: 0 is not a TCP port; write a number from 1 to 65535"],
            ),
            (
                "runtime_api: {sockets: ['/run/*/a.sock']}",
                &[
                    "2:35: `/run/*/a.sock` is about sockets of more than one directory; write a pattern for each",
                ],
            ),
            (
                "static_pod_manifest: {}",
                &["2:32: nothing of static_pod_manifest is named; give `paths` or `ports`, or leave it out"],
            ),
            ("credential: {paths: [/a/*.key, /a/**/b?, /a]}", &["valid"]),
            ("credential: {}", &["2:23: `paths` is missing here; add it"]),
            (
                "kubelet_config: {paths: ['/a/[ab]*']}",
                &["2:36: `/a/[ab]*` has `[` in it; only `*`, `**` and `?` stand for something in a pattern"],
            ),
            (
                "datastore_file: {paths: [/*.db, /a/b**, /a/*/*/*/*/*]}",
                &[
                    "2:36: `/*.db` looks through the whole node; begin with a directory that has no `*` or `?` in it",
                    "2:43: `/a/b**` has `**` beside other characters; write it alone between slashes, or `*`",
                    "2:51: `/a/*/*/*/*/*` is about files more than 4 names deep; begin with a longer path without `*` or `?`",
                ],
            ),
            (
                "credential: {paths: [/a/*.key]}, kubelet_config: {paths: [/a/*.key]}",
                &["2:32: /a/*.key is given twice, first as kubelet_config; keep one"],
            ),
            ("static_pod_manifest: {paths: ['']}", &["2:41: a path is empty; begin it with /"]),
            ("static_pod_manifest: {paths: [\"/a\\0b\"]}", &["2:41: a path cannot contain a zero byte"]),
            (
                "static_pod_manifest: {paths: []}",
                &["2:40: `paths` is an empty list, which adds nothing; leave it out"],
            ),
            (
                "runtime_api: {sockets: []}",
                &["2:34: `sockets` is an empty list, which adds nothing; leave it out"],
            ),
            (
                "static_pod_manifest: {paths: [/a, /a/]}",
                &["2:45: /a is given twice, first as static_pod_manifest; keep one"],
            ),
            (
                "static_pod_manifest: {sockets: [/a]}",
                &["2:33: unknown key `sockets`; known here: paths, ports"],
            ),
            (
                "datastore_api: {ports: [0, 65536, -1, 2379]}",
                &[
                    "2:35: 0 is not a TCP port; write a number from 1 to 65535",
                    "2:38: 65536 is not a TCP port; write a number from 1 to 65535",
                    "2:45: -1 is not a TCP port; write a number from 1 to 65535",
                ],
            ),
            (
                "datastore_api: {ports: []}",
                &["2:34: `ports` is an empty list, which adds nothing; leave it out"],
            ),
            (
                "kubelet_api: {destinations: nod}",
                &["2:39: `nod` is no network; write node, any, or a list as [10.0.0.0/8]"],
            ),
            (
                "kubelet_api: {destinations: [10.0.0.0/33]}",
                &["2:39: `10.0.0.0/33` is no network; write node, any, or a list as [10.0.0.0/8]"],
            ),
            (
                "kubelet_api: {destinations: [10.0.0.7]}",
                &["2:39: `10.0.0.7` is no network; write 10.0.0.7/32"],
            ),
            (
                "kubelet_api: {destinations: []}",
                &["2:39: no destination would ever count; write node, any, or networks"],
            ),
        ],
    );
}

#[test]
fn rules_about_containers() {
    check(
        "version: 1\nallow:\n  - {id: a, targets: datastore_api, ",
        "}\n",
        &[
            (
                "container: {namespace: kube-system, pod: ['etcd-*'], name: etcd, image: 'x/*@sha256:*'}",
                &["valid"],
            ),
            ("container: {pod: a}, process: {uid: 7}", &["valid"]),
            (
                "container: {}",
                &[
                    "3:5: rule `a` allows every container; give `process` or `container`, or say `i_know: true` if you mean it",
                ],
            ),
            (
                "container: {namespace: '*'}",
                &[
                    "3:5: rule `a` allows every container; give `process` or `container`, or say `i_know: true` if you mean it",
                ],
            ),
            ("container: {namespace: '*'}, i_know: true", &["valid"]),
            (
                "container: {pods: a}",
                &["3:49: unknown key `pods`; did you mean `pod`? known here: namespace, pod, name, image"],
            ),
            (
                "container: {pod: []}, process: {uid: 7}",
                &["3:5: `pod` of rule `a` is an empty list; leave it out for any"],
            ),
            (
                "container: {pod: ['', '[a]', 'b**']}",
                &[
                    "3:5: `` is empty; write a name, or leave the field out for any",
                    "3:5: `[a]` has `[` in it, which no name has; only `*` and `?` stand for something",
                    "3:5: `b**` has `**` in it; write `*`, which stands for slashes, too",
                ],
            ),
            (
                "process: {unit: 'a**'}",
                &[
                    "3:5: `a**` as `unit` of rule `a` has `**` in it; write `*`, which stands for slashes, too",
                ],
            ),
            (
                "access: accept, source: [10.0.0.0/8], container: {pod: a}",
                &[
                    "3:5: rule `a` has `source` and `container`, but what comes from elsewhere has no process here; make two rules of it",
                ],
            ),
        ],
    );
}

#[test]
fn rules() {
    check(
        "version: 1\nallow:\n  - {id: a, ",
        "}\n",
        &[
            (
                "targets: runtime_api, process: {exe: /a}, destination: [10.0.0.0/8]",
                &[
                    "3:5: `destination` of rule `a` never fits runtime_api, which has no addresses; make two rules of it",
                ],
            ),
            ("targets: runtime_api, process: {exe: /a, uid: 0}", &["valid"]),
            (
                "targets: runtime_api",
                &[
                    "3:5: rule `a` allows every process; give `process` or `container`, or say `i_know: true` if you mean it",
                ],
            ),
            (
                "targets: runtime_api, process: {}",
                &[
                    "3:5: rule `a` allows every process; give `process` or `container`, or say `i_know: true` if you mean it",
                ],
            ),
            ("targets: runtime_api, i_know: true", &["valid"]),
            ("targets: [], i_know: true", &["3:5: rule `a` has no targets; list classes as [runtime_api]"]),
            ("i_know: true", &["3:13: `targets` is missing here; add it"]),
            (
                "targets: runtime_api, process: {exe: [], uid: []}, access: []",
                &[
                    "3:5: `access` of rule `a` is an empty list; leave it out for any",
                    "3:5: `exe` of rule `a` is an empty list; leave it out for any",
                    "3:5: `uid` of rule `a` is an empty list; leave it out for any",
                ],
            ),
            (
                "targets: runtime_api, process: {exe: [kubelet, '']}",
                &[
                    "3:5: `kubelet` is not an absolute path; begin it with /",
                    "3:5: a path is empty; begin it with /",
                ],
            ),
            (
                "targets: runtime_api, process: {exe: /a, sha256: [E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855]}",
                &["valid"],
            ),
            (
                "targets: runtime_api, process: {exe: /a, sha256: [e3b0, 'sha256:x']}",
                &[
                    "3:5: `e3b0` as `sha256` of rule `a` is none; write its 64 hexadecimal digits, as `sha256sum` does",
                    "3:5: `sha256:x` as `sha256` of rule `a` is none; write its 64 hexadecimal digits, as `sha256sum` does",
                ],
            ),
            (
                "targets: runtime_api, process: {exe: /a, sha256: []}",
                &["3:5: `sha256` of rule `a` is an empty list; leave it out for any"],
            ),
            (
                "targets: runtime_api, process: {sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855}",
                &[
                    "3:5: rule `a` allows whoever brings such a file along; give `exe`, `unit` or `container` besides, or say `i_know: true` if you mean it",
                ],
            ),
            (
                "targets: runtime_api, process: {exes: /a}",
                &[
                    "3:45: unknown key `exes`; did you mean `exe`? known here: exe, sha256, uid, unit, args, ancestors, host_ns",
                ],
            ),
            (
                "targets: runtime_api, process: {uid: root}",
                &["3:45: string \"root\" cannot stand here; write a whole number from 0 to 4294967295"],
            ),
            (
                "targets: runtime_api, access: read, process: {uid: 7}",
                &[
                    "3:5: no `access` of rule `a` can happen to runtime_api; add write or connect, or leave runtime_api out",
                ],
            ),
            (
                "targets: [static_pod_manifest, kubelet_api], access: write, process: {uid: 7}",
                &[
                    "3:5: no `access` of rule `a` can happen to kubelet_api; add connect or accept, or leave kubelet_api out",
                ],
            ),
            (
                "targets: credential, access: [read, connect], process: {uid: 7}",
                &["3:5: `connect` of rule `a` never happens to its targets; write read or write"],
            ),
            (
                "targets: runtime_api, access: reed, process: {uid: 7}",
                &["3:35: unknown word `reed`; did you mean `read`? known here: read, write, connect, accept"],
            ),
        ],
    );
}

#[test]
fn ids_are_the_rules_own() {
    check(
        "version: 1\nallow:\n",
        "\n",
        &[
            (
                "  - {id: kubelet, targets: runtime_api, i_know: true}",
                &["3:5: the rule id `kubelet` is taken already, maybe by the profile; choose another"],
            ),
            (
                "  - {id: a, targets: runtime_api, i_know: true}\n  - {id: a, targets: runtime_api, i_know: true}",
                &["4:5: the rule id `a` is taken already, maybe by the profile; choose another"],
            ),
            (
                "  - {id: '', targets: runtime_api, i_know: true}",
                &["3:5: the rule's `id` is empty; give it a name, events refer to it"],
            ),
            (
                "  - {id: \"a\\nb\", targets: runtime_api, i_know: true}",
                &["3:5: the rule id `a\\nb` has control characters; choose another"],
            ),
        ],
    );
}

#[test]
fn everything_wrong_is_said_at_once_in_the_order_of_the_file() {
    let text =
        "allow: [{id: a, targets: [runtime_api]}]\ntargets: {datastore_api: {ports: [0]}}\nversion: 3\n";
    let places: Vec<_> = messages(text).iter().map(|line| line[..4].to_owned()).collect();
    assert_eq!(places, ["1:9:", "2:35", "3:10"]);
}

#[test]
fn files_that_are_no_policy() {
    let says = |path: &Path| load(Some(path)).unwrap_err().to_string();
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().display();
    assert_eq!(says(dir.path()), format!("{name}: is a directory; name the policy file in it"));
    assert_eq!(
        says(&dir.path().join("absent")),
        format!("{name}/absent: cannot be read: No such file or directory (os error 2)")
    );
    assert_eq!(messages(b"version: \xff\n"), [" is not UTF-8 text; write the policy in YAML"]);
    let limit = " is larger than 1048576 bytes; a policy file is a page or two";
    assert_eq!(messages(format!("version: 1\n#{}", "x".repeat(1 << 20))), [limit]);
}

#[test]
fn the_policy_of_the_daemon_set_is_valid() {
    let config_map: serde_json::Value =
        serde_saphyr::from_str(include_str!("../../deploy/kubernetes/configmap.yaml")).unwrap();
    let policy = config_map["data"]["policy.yaml"].as_str().unwrap();
    assert_eq!(messages(policy), ["valid"]);
    // So is its example.
    let allow: String = policy
        .lines()
        .filter_map(|line| Some(line.trim().strip_prefix('#')?.to_owned() + "\n"))
        .skip(1)
        .collect();
    assert!(allow.contains("- id: "), "{allow}");
    assert_eq!(messages(policy.replace("allow: []", &format!("allow:\n{allow}"))), ["valid"]);
}
