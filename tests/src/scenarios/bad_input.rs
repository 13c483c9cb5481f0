//! Wrong input gets one sentence and the right exit code.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;

use super::trials;
use crate::actor::{run, run_as_nobody};
use crate::daemon::{command, program};

pub fn all() -> Vec<Trial> {
    trials(
        "bad_input",
        &[
            ("policy_files", policy_files),
            ("policy_paths", policy_paths),
            ("usage", usage),
            ("without_root", without_root),
            ("without_type_information", without_type_information),
        ],
    )
}

/// One line on stderr, nothing on stdout, and this exit code.
fn refused(output: &Output, code: i32, words: &[&str]) -> Result<()> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(code), "{output:?}");
    ensure!(output.stdout.is_empty(), "{output:?}");
    ensure!(stderr.lines().count() == 1, "more than one line: {stderr}");
    for word in words {
        ensure!(stderr.contains(word), "no `{word}` in {stderr}");
    }
    Ok(())
}

fn policy_files() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("policy.yaml");
    let path = file.to_string_lossy();
    let cases: [(&str, &[&str]); 22] = [
        ("", &["policy.yaml:1:1", "version: 1"]),
        ("version: 2\n", &["policy.yaml:1:10", "write `version: 1`"]),
        ("version: one\n", &["policy.yaml:1:10"]),
        (
            "version: 1\nprofil: none\n",
            &["policy.yaml:2:1", "unknown key `profil`", "did you mean `profile`?"],
        ),
        ("version: 1\nprofile: rancher\n", &["policy.yaml:2:10", "`rancher`", "auto, kubeadm, k3s"]),
        ("version: 1\nallow: {a: [}\n", &["policy.yaml:2:"]),
        ("version: 1\nversion: 1\n", &["policy.yaml:2:1", "given twice"]),
        (
            "version: 1\ntargets: {datastore_api: {ports: [0]}}\n",
            &["policy.yaml:2:", "0 is not a TCP port", "1 to 65535"],
        ),
        ("version: 1\ntargets: {datastore_api: {ports: [70000]}}\n", &["70000 is not a TCP port"]),
        ("version: 1\ntargets: {datastore_api: {ports: many}}\n", &["policy.yaml:2:"]),
        (
            "version: 1\ntargets: {runtime_api: {sockets: [run/x]}}\n",
            &["`run/x` is not an absolute path", "begin it with /"],
        ),
        (
            "version: 1\ntargets: {kubelet_api: {destinations: [10.0.0.0/99]}}\n",
            &["`10.0.0.0/99` is no network"],
        ),
        ("version: 1\nallow: [{id: a, targets: [runtime_api]}]\n", &["allows every process", "i_know: true"]),
        (
            "version: 1\nallow: [{id: kubelet, targets: [runtime_api], process: {exe: /x}}]\n",
            &["`kubelet` is taken"],
        ),
        (
            "version: 1\nallow: [{id: a, targets: [runtime_api], access: read, process: {exe: /x}}]\n",
            &["policy.yaml:2:", "no `access` of rule `a` can happen to runtime_api", "add write or connect"],
        ),
        ("version: 1\nseverity: {runtime_api: bad}\n", &["policy.yaml:2:", "unknown word `bad`", "medium"]),
        (
            "version: 1\nallow: [{id: a, targets: [runtime_api], process: {uid: 0}}]\n",
            &["policy.yaml:2:", "allows whatever root runs", "i_know: true"],
        ),
        (
            "version: 1\nallow: [{id: a, targets: [runtime_api], process: {args: 'get *'}}]\n",
            &["policy.yaml:2:", "which any can", "give `exe`"],
        ),
        (
            "version: 1\nallow: [{id: a, targets: [runtime_api], process: {exe: /x, host_ns: {}}}]\n",
            &["policy.yaml:2:", "`host_ns` of rule `a` says nothing", "{mnt: true, pid: true, net: true}"],
        ),
        (
            "version: 1\nallow: [{id: a, targets: [runtime_api], process: {ancestors: [x]}}]\n",
            &["policy.yaml:2:", "`x` is not an absolute path"],
        ),
        (
            "version: 1\nallow: [{id: a, targets: [runtime_api], process: {exe: /x, args: []}}]\n",
            &["policy.yaml:2:", "`args` of rule `a` is an empty list"],
        ),
        (
            "version: 1\nallow: [{id: a, targets: [runtime_api], process: {exes: /x}}]\n",
            &["unknown key `exes`", "did you mean `exe`?"],
        ),
    ];
    for (text, words) in cases {
        fs::write(&file, text)?;
        for args in [vec!["run", "--config", &*path], vec!["config", "validate", &*path]] {
            refused(&command(&args)?, 2, words).map_err(|error| error.context(text.to_owned()))?;
        }
    }
    Ok(())
}

fn policy_paths() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let absent = dir.path().join("absent.yaml");
    refused(
        &command(&["run", "--config", &absent.to_string_lossy()])?,
        2,
        &["absent.yaml: cannot be read: No such file"],
    )?;
    refused(&command(&["run", "--config", &dir.path().to_string_lossy()])?, 2, &["is a directory"])?;
    let binary = dir.path().join("binary");
    fs::write(&binary, b"\xff\xfe")?;
    refused(&command(&["run", "--config", &binary.to_string_lossy()])?, 2, &["is not UTF-8"])?;
    let secret = dir.path().join("secret.yaml");
    fs::write(&secret, "version: 1\n")?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    let output = run_as_nobody(&program()?, ["run", "--config", &secret.to_string_lossy()])?;
    refused(&output, 2, &["cannot be read: Permission denied"])
}

fn usage() -> Result<()> {
    for args in [&["run", "--colour"][..], &["run", "--duration", "soon"], &["frobnicate"], &[]] {
        let output = command(args)?;
        ensure!(output.status.code() == Some(2) && output.stdout.is_empty(), "{args:?}: {output:?}");
    }
    Ok(())
}

fn without_root() -> Result<()> {
    refused(&run_as_nobody(&program()?, ["run"])?, 3, &["run as root"])
}

fn without_type_information() -> Result<()> {
    let line = format!("mount -t tmpfs none /sys/kernel/btf && exec {} run", program()?.display());
    refused(&run("unshare".as_ref(), ["-m", "sh", "-c", &line])?, 3, &["/sys/kernel/btf/vmlinux"])
}
