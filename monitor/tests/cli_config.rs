//! The policy commands as a user or a script meets them: the real binary, its streams and its exit codes.

use std::io::{Read as _, pipe};
use std::process::{Command, Output, Stdio};
use std::{fs, str};

use tempfile::TempDir;

fn bypassd(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bypassd"));
    command.args(args).env_remove("BYPASSD_LOG");
    command
}

/// Runs `config validate` on a file with that text, in a directory of its own.
#[expect(clippy::unwrap_used, reason = "clippy sees no test in a helper of tests")]
fn validate(text: &str) -> Output {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("p.yaml"), text).unwrap();
    bypassd(&["config", "validate", "p.yaml"]).current_dir(dir.path()).output().unwrap()
}

/// What a refusal says, once it is one.
#[expect(clippy::unwrap_used, reason = "clippy sees no test in a helper of tests")]
fn refused(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    str::from_utf8(&output.stderr).unwrap()
}

fn rule(fields: &str) -> String {
    format!("version: 1\nprofile: none\nallow:\n  - {{id: a, targets: static_pod_manifest, {fields}}}\n")
}

#[test]
fn a_key_without_a_value_never_widens_a_rule() {
    for fields in [
        "process: {exe: , uid: 7}",
        "process: {exe: ~, uid: 7}",
        "process: {exe: null, uid: 7}",
        "process: {exe: /usr/bin/x, uid: }",
        "access: , process: {exe: /usr/bin/x}",
        "process: , i_know: true",
    ] {
        let output = validate(&rule(fields));
        let said = refused(&output);
        assert!(said.starts_with("bypassd: p.yaml:4:"), "{fields}: {said}");
        assert_eq!(said.lines().count(), 1, "{fields}: {said}");
    }
    assert_eq!(validate(&rule("process: {uid: 7}")).status.code(), Some(0), "left out is fine");
}

#[test]
fn a_class_without_a_value_is_not_silently_unwatched() {
    for targets in [
        "static_pod_manifest:",
        "static_pod_manifest: {paths: [/a], ports: }",
        "credential:",
        "runtime_api: ~",
        "datastore_api:",
        "kubelet_api:",
        "kubelet_api: {ports: [1], destinations: }",
        "kubelet_api: {ports: , destinations: node}",
    ] {
        let output = validate(&format!("version: 1\nprofile: none\ntargets:\n  {targets}\n"));
        assert!(refused(&output).starts_with("bypassd: p.yaml:4:"), "{targets}: {output:?}");
    }
}

#[test]
fn a_path_that_leads_elsewhere_or_everywhere_is_refused() {
    for (path, says) in [
        ("/usr/bin/../bin/x", "`/usr/bin/../bin/x` has `..` in it; write where it leads"),
        ("/..", "`/..` has `..` in it; write where it leads"),
        ("/", "`/` is the whole node; name what is meant beneath it"),
        ("//.", "`//.` is the whole node; name what is meant beneath it"),
    ] {
        let rule = validate(&rule(&format!("process: {{exe: \"{path}\"}}")));
        assert_eq!(refused(&rule), format!("bypassd: p.yaml:4:5: {says}\n"));
        for target in ["static_pod_manifest: {paths", "runtime_api: {sockets"] {
            let target =
                validate(&format!("version: 1\nprofile: none\ntargets:\n  {target}: [\"{path}\"]}}\n"));
            let said = refused(&target);
            assert!(
                said.starts_with("bypassd: p.yaml:4:") && said.ends_with(&format!(": {says}\n")),
                "{said}"
            );
        }
    }
    let dots = validate(&rule("process: {exe: /usr/bin/..x/y..}"));
    assert_eq!(dots.status.code(), Some(0), "{dots:?}");
}

#[test]
fn more_ports_than_the_kernel_holds_are_refused_before_a_run() {
    let ports = |count: u16| {
        let ports: Vec<_> = (1..=count).map(|port| port.to_string()).collect();
        validate(&format!(
            "version: 1\nprofile: none\ntargets: {{datastore_api: {{ports: [{}]}}}}\n",
            ports.join(", ")
        ))
    };
    assert_eq!(ports(64).status.code(), Some(0));
    assert_eq!(
        refused(&ports(65)),
        "bypassd: p.yaml: 65 ports are watched; 64 at most fit, leave some out\n"
    );
}

#[test]
fn files_that_cannot_be_policies_are_refused() {
    let dir = TempDir::new().unwrap();
    let large = dir.path().join("large.yaml");
    fs::write(&large, format!("version: 1\n{}", "#".repeat(1 << 20))).unwrap();
    let binary = dir.path().join("binary.yaml");
    fs::write(&binary, b"version: 1\n# \xe9\n").unwrap();
    for (path, says) in [
        (dir.path().join("absent.yaml"), "cannot be read: No such file or directory"),
        (dir.path().to_owned(), "is a directory"),
        (large, "is larger than 1048576 bytes"),
        (binary, "is not UTF-8"),
    ] {
        let path = path.to_str().unwrap();
        for args in [
            ["config", "validate", path].as_slice(),
            &["config", "show", "--config", path],
            &["list", "rules", "--config", path],
            &["run", "--config", path],
            &["doctor", "--config", path],
        ] {
            let output = bypassd(args).output().unwrap();
            let said = refused(&output);
            assert!(said.starts_with(&format!("bypassd: {path}: {says}")), "{args:?}: {said}");
        }
    }
}

#[test]
fn a_valid_file_is_one_line_on_stdout() {
    let output = validate("version: 1\nprofile: none\n");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let digest = "ff747fe1fea9b3176366d46344aea5f80b7614f92802c984ca5f4cdb5817dfae";
    let line = format!("p.yaml: valid; 0 targets, 0 rules, sha256 {digest}\n");
    assert_eq!(str::from_utf8(&output.stdout).unwrap(), line);
    assert!(output.stderr.is_empty(), "{output:?}");
}

/// A change of what is watched or allowed by default shows in a review of this file.
#[test]
fn the_built_in_policy_is_the_one_that_was_reviewed() {
    let output = bypassd(&["config", "show"]).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let policy: String =
        shown.lines().map(|line| line.split(" # ").next().unwrap().to_owned() + "\n").collect();
    assert_eq!(policy, include_str!("golden/kubeadm.yaml"));
}

#[test]
fn nothing_of_a_policy_moves_the_cursor() {
    let dir = TempDir::new().unwrap();
    let policy = dir.path().join("p.yaml");
    let text = "version: 1\nprofile: none\n\
                targets: {static_pod_manifest: {paths: [\"/a\\e[2Jb\"]}}\n\
                allow: [{id: x, targets: static_pod_manifest, process: {exe: \"/a\\e[2Jb\"}}]\n";
    fs::write(&policy, text).unwrap();
    let policy = policy.to_str().unwrap();
    let absent = "/absent\u{1b}[2J";
    for args in [
        ["list", "rules", "--config", policy].as_slice(),
        &["list", "targets", "--config", policy],
        &["config", "show", "--config", policy],
        &["config", "validate", absent],
    ] {
        let Output { stdout, stderr, .. } = bypassd(args).output().unwrap();
        assert!(!stdout.contains(&0x1b) && !stderr.contains(&0x1b), "{args:?}");
        assert!(!stdout.is_empty() || !stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn a_stream_that_nobody_reads_is_no_panic() {
    let closed = || {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    let listed = bypassd(&["list", "classes"]).stdout(closed()).status().unwrap();
    assert_eq!(listed.code(), Some(0));
    let refused = bypassd(&["config", "validate", "/absent"]).stderr(closed()).status().unwrap();
    assert_eq!(refused.code(), Some(2));
}

#[test]
fn a_full_disk_under_stdout_is_a_failure() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = bypassd(&["list", "classes"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for args in [
        [].as_slice(),
        &["confg"],
        &["config", "validate"],
        &["list", "nothing"],
        &["run", "--duration", "3x"],
        &["run", "--duration", "0s"],
        &["run", "--format", "xml"],
        &["run", "--backend", "ptrace"],
    ] {
        assert!(!refused(&bypassd(args).output().unwrap()).is_empty(), "{args:?}");
    }
}

#[test]
fn a_log_filter_that_is_wrong_is_said_and_does_not_stop_anything() {
    let mut child = bypassd(&["list", "profiles"])
        .env("BYPASSD_LOG", "monitor=loudly")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(said.contains("BYPASSD_LOG is ignored"), "{said}");
}
