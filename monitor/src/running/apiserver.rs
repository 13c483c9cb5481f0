//! The API server: where its datastore is, and which keys it has.
//! <https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/>

use super::flags::Flags;
use super::found::{Findings, address, is_loopback};
use super::process::Process;
use crate::model::Class;

/// Each is a private key, or a file full of secrets.
const KEYS: [&str; 7] = [
    "etcd-keyfile",
    "kubelet-client-key",
    "tls-private-key-file",
    "proxy-client-key-file",
    "service-account-signing-key-file",
    "token-auth-file",
    "encryption-provider-config",
];

pub fn read(process: &Process, findings: &mut Findings<'_>) {
    of_flags(process, &process.flags, findings);
}

/// The API server's flags, wherever they are from.
pub fn of_flags(process: &Process, flags: &Flags, findings: &mut Findings<'_>) {
    for url in flags.all(&["etcd-servers"]).flat_map(|urls| urls.split(',')).map(str::trim) {
        if url.starts_with("unix") {
            findings.socket(Class::DatastoreApi, url, "--etcd-servers");
            continue;
        }
        match address(url) {
            // Half of the world's servers are there.
            Some((host, 80 | 443)) if !is_loopback(host) => {
                findings.note(
                    "the port of its datastore on another machine is not watched, because it is everybody's",
                );
            }
            Some((_, port)) => findings.port(Class::DatastoreApi, port, "--etcd-servers"),
            None => {}
        }
    }
    for flag in KEYS {
        if let Some(path) = flags.last(&[flag]).filter(|path| !path.is_empty()) {
            findings.path(Class::Credential, &process.whole(path), &format!("--{flag}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::program::Program;
    use super::super::testing::Node;

    #[test]
    fn the_datastore_and_the_keys_are_found() {
        let node = Node::new(&[]);
        let cmdline = "kube-apiserver --etcd-servers=https://10.0.0.7:12379,unix:///srv/kine/kine.sock:12379 \
                       --etcd-servers=https://etcd.example.org --etcd-keyfile=/srv/pki/client.key --etcd-cafile=/srv/pki/ca.crt";
        let (found, notes) = node.says(Program::Apiserver, cmdline, b"");
        assert_eq!(
            found,
            [
                "datastore_api tcp/12379 < kube-apiserver[7], --etcd-servers",
                "datastore_api /srv/kine/kine.sock:12379 < kube-apiserver[7], --etcd-servers",
                "credential /srv/pki/client.key < kube-apiserver[7], --etcd-keyfile",
            ]
        );
        assert!(notes.len() == 1 && notes[0].contains("another machine"), "{notes:?}");
    }
}
