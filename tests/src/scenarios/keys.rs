//! Ways to keys: what fits a pattern, and what does not.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::Result;
use libtest_mimic::Trial;
use serde_json::json;

use super::doors::{Node, open, read_of};
use super::trials;
use crate::actor::{program, shell};
use crate::event::expect;

pub fn all() -> Vec<Trial> {
    trials(
        "keys",
        &[
            ("key", key),
            ("key_by_other_ways", key_by_other_ways),
            ("key_made_later", key_made_later),
            ("link_to_a_key_made_later", link_to_a_key_made_later),
            ("new_key_under_another_name", new_key_under_another_name),
            ("pattern_of_one_directory", pattern_of_one_directory),
            ("what_does_not_fit_is_silent", what_does_not_fit_is_silent),
        ],
    )
}

fn key() -> Result<()> {
    let node = Node::new()?;
    let mut daemon = node.keys()?;
    for name in ["kubernetes/pki/ca.key", "kubernetes/pki/etcd/server.key", "kubernetes/admin.conf"] {
        node.read(name)?;
        let alert = daemon.alert()?;
        expect(&alert, &read_of("credential", &node.path(name)))?;
        expect(&alert, &json!({"severity": "high", "process": {"exe": program()?}}))?;
    }
    open(&node.path("kubernetes/pki/ca.key"), "w")?;
    expect(&daemon.alert()?, &json!({"action": "write", "rule": {"id": "credential.write"}}))?;
    daemon.finish().map(drop)
}

/// Every name of a key is the key.
fn key_by_other_ways() -> Result<()> {
    let node = Node::new()?;
    let mut daemon = node.keys()?;
    let key = node.path("kubernetes/pki/etcd/server.key");
    let (link, linked_dir, hard) = (node.path("link"), node.path("pki"), node.path("innocent"));
    symlink(&key, &link)?;
    symlink(node.path("kubernetes/pki"), &linked_dir)?;
    fs::hard_link(&key, &hard)?;
    for path in [link, linked_dir.join("etcd/server.key"), hard] {
        open(&path, "r")?;
        expect(&daemon.alert()?, &read_of("credential", &key))?;
    }
    // Mounted: the whole directory, one beneath it, and the file, each under an innocent name.
    let point = node.path("point");
    fs::create_dir(&point)?;
    fs::write(node.path("file.txt"), "")?;
    for (source, point, opened) in [
        (node.path("kubernetes"), point.clone(), point.join("pki/etcd/server.key")),
        (node.path("kubernetes/pki/etcd"), point.clone(), point.join("server.key")),
        (key.clone(), node.path("file.txt"), node.path("file.txt")),
    ] {
        shell(&format!(
            "unshare -m sh -ec 'mount --bind {} {}; exec {} open {} r'",
            source.display(),
            point.display(),
            program()?.display(),
            opened.display(),
        ))?;
        let alert = daemon.alert()?;
        expect(&alert, &read_of("credential", &key))?;
        expect(&alert, &json!({"severity": "critical", "target": {"path_seen": opened}}))?;
    }
    daemon.finish().map(drop)
}

fn key_made_later() -> Result<()> {
    let node = Node::new()?;
    let mut daemon = node.keys()?;
    for name in ["kubernetes/pki/new.key", "kubernetes/pki/a/b/deep.key", "kubernetes/new.conf"] {
        let path = node.path(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        open(&path, "create")?;
        expect(
            &daemon.alert()?,
            &json!({
                "action": "create",
                "rule": {"id": "credential.write"},
                "target": {"class": "credential", "path": path},
            }),
        )?;
        node.read(name)?;
        expect(&daemon.alert()?, &read_of("credential", &path))?;
    }
    daemon.finish().map(drop)
}

/// A new key is known at once, before the daemon has its path.
fn link_to_a_key_made_later() -> Result<()> {
    let node = Node::new()?;
    let mut daemon = node.keys()?;
    let (key, link) = (node.path("kubernetes/pki/etcd/new.key"), node.path("innocent"));
    open(&key, "create")?;
    expect(&daemon.alert()?, &json!({"action": "create", "target": {"path": key}}))?;
    fs::hard_link(&key, &link)?;
    open(&link, "r")?;
    expect(
        &daemon.alert()?,
        &json!({"rule": {"id": "credential.read"}, "target": {"class": "credential", "path_seen": link}}),
    )?;
    daemon.finish().map(drop)
}

/// A file that is not known yet and mounted under a name that does not fit.
fn new_key_under_another_name() -> Result<()> {
    let node = Node::new()?;
    let mut daemon = node.keys()?;
    let point = node.path("file.txt");
    fs::write(&point, "")?;
    shell(&format!(
        "unshare -m sh -ec 'echo x >{0}; mount --bind {0} {1}; exec {2} open {1} r'",
        node.path("kubernetes/pki/new.key").display(),
        point.display(),
        program()?.display(),
    ))?;
    expect(&daemon.alert()?, &json!({"action": "create", "process": {"comm": "sh"}}))?;
    expect(
        &daemon.alert()?,
        &json!({
            "action": "open",
            "target": {"class": "credential", "path_seen": point},
            "process": {"exe": program()?},
        }),
    )?;
    daemon.finish().map(drop)
}

/// `*` stays in its directory.
fn pattern_of_one_directory() -> Result<()> {
    let node = Node::new()?;
    fs::write(node.path("kubernetes/pki/ca.conf"), "x")?;
    let mut daemon = node.keys()?;
    node.read("kubernetes/pki/ca.conf")?;
    daemon.silent_until(
        || node.read("kubernetes/admin.conf"),
        &read_of("credential", &node.path("kubernetes/admin.conf")),
    )?;
    daemon.finish().map(drop)
}

fn what_does_not_fit_is_silent() -> Result<()> {
    let node = Node::new()?;
    let mut daemon = node.keys()?;
    let (point, other) = (node.path("point"), node.path("other"));
    fs::create_dir(&point)?;
    for name in ["kubernetes", "kubernetes/pki", "kubernetes/pki/etcd", "kubernetes/README"] {
        node.read(name)?;
    }
    node.read("kubernetes/pki/ca.crt")?;
    open(&node.path("kubernetes/pki/new.crt"), "create")?;
    fs::hard_link(node.path("kubernetes/pki/ca.crt"), &other)?;
    open(&other, "r")?;
    // As in a container that has the directory under a name of its own.
    shell(&format!(
        "unshare -m sh -ec 'mount --bind {0} {1}; exec {2} open {1}/ca.crt r'",
        node.path("kubernetes/pki").display(),
        point.display(),
        program()?.display(),
    ))?;
    daemon.silent_until(
        || node.read("kubernetes/pki/ca.key"),
        &read_of("credential", &node.path("kubernetes/pki/ca.key")),
    )?;
    daemon.finish().map(drop)
}
