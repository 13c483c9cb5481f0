//! etcd: its configuration file alone if there is one, else flags over the environment. <https://etcd.io/docs/v3.6/op-guide/configuration/>

use super::document::Document;
use super::flags::variable;
use super::found::{Findings, address};
use super::process::Process;
use crate::model::Class;

/// The flag, and its key in a file where that is another.
const LISTEN: [(&str, &str); 3] = [
    ("listen-client-urls", "http://localhost:2379"),
    ("listen-client-http-urls", ""),
    ("listen-peer-urls", "http://localhost:2380"),
];
const KEYS: [(&str, &str); 2] = [
    ("key-file", "client-transport-security.key-file"),
    ("peer-key-file", "peer-transport-security.key-file"),
];

pub fn read(process: &Process, findings: &mut Findings<'_>) {
    let given = |name: &str| {
        if let Some(value) = process.flags.last(&[name]) {
            return Some((value.to_owned(), format!("--{name}")));
        }
        let name = format!("ETCD_{}", name.replace('-', "_").to_uppercase());
        variable(&process.environ, &name).map(|value| (value.to_owned(), name))
    };
    let given = |name: &str| given(name).filter(|(value, _)| !value.is_empty());
    let file = given("config-file").map(|(path, _)| process.whole(&path));
    let document = file.as_ref().map(|file| findings.read(file, Document::yaml).unwrap_or_default());
    let said = |flag: &str, key: &str| match (&document, &file) {
        (Some(document), Some(file)) => {
            let value = document.text(key).filter(|value| !value.is_empty())?;
            Some((value.to_owned(), Findings::key(key, file)))
        }
        _ => given(flag),
    };
    for (name, usual) in LISTEN {
        let (urls, from) =
            said(name, name).unwrap_or_else(|| (usual.to_owned(), "its usual address".to_owned()));
        urls.split(',').map(str::trim).for_each(|url| endpoint(url, &from, findings));
    }
    match said("data-dir", "data-dir") {
        Some((dir, from)) => findings.path(Class::DatastoreFile, &process.whole(&dir), &from),
        None => {
            let name = given("name").map_or_else(|| "default".to_owned(), |(name, _)| name);
            let dir = process.whole(&format!("{name}.etcd"));
            findings.path(Class::DatastoreFile, &dir, "its usual directory");
        }
    }
    if let Some((dir, from)) = said("wal-dir", "wal-dir") {
        findings.path(Class::DatastoreFile, &process.whole(&dir), &from);
    }
    for (flag, key) in KEYS {
        if let Some((path, from)) = said(flag, key) {
            findings.path(Class::Credential, &process.whole(&path), &from);
        }
    }
}

/// Where a datastore of the node listens.
fn endpoint(url: &str, from: &str, findings: &mut Findings<'_>) {
    if url.starts_with("unix") {
        return findings.socket(Class::DatastoreApi, url, from);
    }
    if let Some((_, port)) = address(url) {
        findings.port(Class::DatastoreApi, port, from);
    }
}

#[cfg(test)]
mod tests {
    use super::super::program::Program;
    use super::super::testing::Node;

    #[test]
    fn a_configuration_file_makes_the_rest_void() {
        let node = Node::new(&[(
            "/e/c.yaml",
            "data-dir: /srv/etcd/data\nlisten-client-urls: https://10.0.0.7:12379,https://127.0.0.1:12379\n\
             client-transport-security:\n  key-file: /srv/etcd/server.key\n",
        )]);
        let (found, notes) = node.says(
            Program::Etcd,
            "etcd --config-file=/e/c.yaml --data-dir=/srv/not",
            b"ETCD_WAL_DIR=/srv/no\0",
        );
        assert_eq!(
            found,
            [
                "datastore_api tcp/12379 < etcd[7], listen-client-urls in /e/c.yaml",
                "datastore_api tcp/2380 < etcd[7], its usual address",
                "datastore_file /srv/etcd/data < etcd[7], data-dir in /e/c.yaml",
                "credential /srv/etcd/server.key < etcd[7], client-transport-security.key-file in /e/c.yaml",
            ]
        );
        assert_eq!(notes, [""; 0]);
    }

    #[test]
    fn flags_go_over_the_environment() {
        let node = Node::new(&[]);
        let environ = b"ETCD_DATA_DIR=/srv/env\0ETCD_LISTEN_PEER_URLS=http://0.0.0.0:3380\0ETCD_PEER_KEY_FILE=/srv/peer.key\0";
        let (found, _) = node.says(
            Program::Etcd,
            "etcd -data-dir /srv/flag --listen-client-urls unix:///run/etcd/a.sock",
            environ,
        );
        assert_eq!(
            found,
            [
                "datastore_api /run/etcd/a.sock < etcd[7], --listen-client-urls",
                "datastore_api tcp/3380 < etcd[7], ETCD_LISTEN_PEER_URLS",
                "datastore_file /srv/flag < etcd[7], --data-dir",
                "credential /srv/peer.key < etcd[7], ETCD_PEER_KEY_FILE",
            ]
        );
    }
}
