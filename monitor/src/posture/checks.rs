//! The one table of checks. Ids are stable and never used for something else; the numbers are those of the CIS Kubernetes Benchmark 1.12.

use crate::event::Rule;
use crate::model::{Class, Severity};

/// One thing that is looked at.
#[derive(Debug)]
pub struct Check {
    pub rule: Rule,
    pub class: Class,
    /// Of a fail.
    pub severity: Severity,
    pub cis: &'static [&'static str],
    pub mitigation: &'static str,
}

macro_rules! checks {
    ($($constant:ident = $id:literal, $name:literal, $class:ident, $severity:ident, [$($cis:literal),*], $mitigation:literal;)*) => {
        $(pub(super) static $constant: Check = Check {
            rule: Rule { id: $id, name: $name },
            class: Class::$class,
            severity: Severity::$severity,
            cis: &[$($cis),*],
            mitigation: $mitigation,
        };)*

        pub static ALL: &[&Check] = &[$(&$constant,)*];
    };
}

checks! {
    ANONYMOUS = "kubelet.anonymous_auth", "Kubelet refuses callers without a name", KubeletApi, Critical, ["4.2.1"],
        "set authentication.anonymous.enabled: false in the kubelet's configuration";
    AUTHORIZATION = "kubelet.authorization_mode", "Kubelet asks who may do what", KubeletApi, Critical, ["4.2.2"],
        "set authorization.mode: Webhook in the kubelet's configuration, and give few accounts the subresources of nodes";
    AUTHENTICATION = "kubelet.authentication", "Kubelet knows callers by certificate or token", KubeletApi, High, ["4.2.3"],
        "set authentication.x509.clientCAFile and authentication.webhook.enabled: true in the kubelet's configuration";
    READ_ONLY_PORT = "kubelet.read_only_port", "Kubelet's port without authentication is closed", KubeletApi, High, ["4.2.4"],
        "set readOnlyPort: 0 in the kubelet's configuration";
    STATIC_POD_PATH = "static_pods.path", "Static pods are on only where they are needed", StaticPodManifest, Medium, [],
        "leave out staticPodPath on nodes that run no static pods";
    STATIC_POD_URL = "static_pods.url", "No server gives the kubelet pods", StaticPodManifest, Critical, [],
        "leave out staticPodURL; whoever writes to that server runs pods here";
    MANIFEST_FILES = "static_pods.file_permissions", "Manifests are root's alone", StaticPodManifest, High,
        ["1.1.1", "1.1.2", "1.1.3", "1.1.4", "1.1.5", "1.1.6", "1.1.7", "1.1.8"],
        "chown root:root and chmod 600 every manifest, and take access control lists away";
    MANIFEST_DIRECTORY = "static_pods.directory", "Only root puts manifests in place", StaticPodManifest, Critical, [],
        "chown root:root the directory and all above it, let nobody else write there, and mount nothing over it";
    INVISIBLE = "static_pods.invisible", "Every static pod shows in the API", StaticPodManifest, Critical, [],
        "find out who wrote the manifest, and remove it or give it a namespace that there is";
    HIDDEN = "static_pods.hidden", "Nothing lies in wait beside the manifests", StaticPodManifest, Medium, [],
        "remove files whose names begin with a dot, and links that lead out of the directory";
    UNEXPECTED = "static_pods.unexpected", "Only the control plane runs as static pods", StaticPodManifest, Medium, [],
        "compare each manifest with what your installer writes, and remove what nobody knows";
    HOST_PATHS = "static_pods.host_paths", "No static pod reaches a door of the node", StaticPodManifest, High, [],
        "take host paths of sockets, manifests, keys and / out of static pods that are not the control plane";
    KUBELET_FILES = "kubelet.file_permissions", "Kubelet's configuration is root's alone", KubeletConfig, High,
        ["4.1.1", "4.1.2", "4.1.9", "4.1.10"],
        "chown root:root and chmod 600 the kubelet's configuration, drop-ins, flags and unit";
    CREDENTIALS = "credentials.file_permissions", "Keys and kubeconfigs are root's alone", Credential, High,
        ["1.1.13", "1.1.14", "1.1.15", "1.1.16", "1.1.17", "1.1.18", "1.1.19", "1.1.21", "4.1.5", "4.1.6"],
        "chown root:root and chmod 600 every private key and kubeconfig";
    CERTIFICATES = "certificates.file_permissions", "Only root changes certificates", Credential, High,
        ["1.1.19", "1.1.20", "4.1.7", "4.1.8"],
        "chown root:root and chmod 644 certificates, and let nobody else write to their directories";
    DATASTORE_FILES = "etcd.file_permissions", "etcd's files are etcd's alone", DatastoreFile, Critical, ["1.1.11", "1.1.12"],
        "chown etcd:etcd and chmod 700 etcd's directory: whoever reads it has every Secret";
    ETCD_CERTIFICATE = "etcd.tls", "etcd speaks TLS to clients", DatastoreApi, High, ["2.1"],
        "give etcd --cert-file and --key-file";
    ETCD_CLIENTS = "etcd.client_cert_auth", "etcd asks clients for a certificate", DatastoreApi, Critical, ["2.2"],
        "give etcd --client-cert-auth=true and --trusted-ca-file";
    ETCD_AUTO = "etcd.auto_tls", "etcd makes no certificates for clients of its own", DatastoreApi, High, ["2.3"],
        "give etcd --auto-tls=false";
    ETCD_PEER_CERTIFICATE = "etcd.peer_tls", "etcd speaks TLS to its peers", DatastoreApi, High, ["2.4"],
        "give etcd --peer-cert-file and --peer-key-file";
    ETCD_PEERS = "etcd.peer_client_cert_auth", "etcd asks its peers for a certificate", DatastoreApi, Critical, ["2.5"],
        "give etcd --peer-client-cert-auth=true and --peer-trusted-ca-file";
    ETCD_PEER_AUTO = "etcd.peer_auto_tls", "etcd makes no certificates for peers of its own", DatastoreApi, High, ["2.6"],
        "give etcd --peer-auto-tls=false";
    ETCD_CA = "etcd.separate_ca", "etcd trusts an authority of its own", DatastoreApi, High, ["2.7"],
        "make a certificate authority that signs for nothing but etcd, and name it alone in --trusted-ca-file";
    ETCD_LISTENS = "etcd.listen", "etcd listens only where it has to", DatastoreApi, High, [],
        "name addresses in --listen-client-urls and --listen-peer-urls, with https, and let only the API servers reach them";
    APISERVER_ETCD = "apiserver.etcd_tls", "API server knows etcd by certificate", DatastoreApi, High, ["1.2.23", "1.2.26"],
        "give kube-apiserver --etcd-cafile, --etcd-certfile and --etcd-keyfile";
    APISERVER_KUBELET_CLIENT = "apiserver.kubelet_client_certificate", "API server shows kubelets a certificate", KubeletApi, Medium, ["1.2.4"],
        "give kube-apiserver --kubelet-client-certificate and --kubelet-client-key";
    APISERVER_KUBELET_CA = "apiserver.kubelet_certificate_authority", "API server knows kubelets by certificate", KubeletApi, Medium, ["1.2.5"],
        "give kube-apiserver --kubelet-certificate-authority";
    NODE_RESTRICTION = "apiserver.node_restriction", "A kubelet changes only its own node", Credential, High, ["1.2.14"],
        "put NodeRestriction into kube-apiserver's --enable-admission-plugins";
    RUNTIME_SOCKETS = "runtime.socket_permissions", "Only root reaches the sockets of runtimes", RuntimeApi, Critical, [],
        "chown root:root and chmod 660 or less the sockets of runtimes and of the datastore";
    RUNTIME_NETWORK = "runtime.network", "No runtime listens on the network", RuntimeApi, Critical, [],
        "take tcp:// addresses out of the runtime's configuration and flags";
    CONTAINERS = "containers.host_paths", "No container reaches a door of the node", RuntimeApi, High, [],
        "forbid host paths of sockets, manifests, keys and / by admission, and remove the pods that have them";
}

/// The table in Markdown.
#[cfg(test)]
fn markdown() -> String {
    let head = "| check | what is well | door | CIS | what to do |\n|---|---|---|---|---|\n".to_owned();
    ALL.iter().fold(head, |text, check| {
        let Check { rule, class, severity: _, cis, mitigation } = check;
        text + &format!("| `{}` | {} | `{class}` | {} | {mitigation} |\n", rule.id, rule.name, cis.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn checks_have_an_id_of_their_own_and_say_what_to_do() {
        let ids: BTreeSet<_> = ALL.iter().map(|check| check.rule.id).collect();
        assert_eq!(ids.len(), ALL.len());
        assert!(ALL.iter().all(|check| !check.mitigation.ends_with('.') && check.mitigation.len() > 20));
    }

    #[test]
    fn the_document_has_the_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/posture.md");
        let text = std::fs::read_to_string(&path).unwrap();
        if !text.contains(&markdown()) && std::env::var_os("BYPASSD_UPDATE_FIXTURES").is_some() {
            let (before, rest) = text.split_once("| check |").unwrap();
            let (_, after) = rest.split_once("\n\n").unwrap();
            std::fs::write(&path, format!("{before}{}\n{after}", markdown())).unwrap();
            return;
        }
        assert!(text.contains(&markdown()), "docs/posture.md is old: run with BYPASSD_UPDATE_FIXTURES=1");
    }

    /// What the benchmark says about doors is somewhere in the table, and nothing twice but where it is about two kinds of files.
    #[test]
    fn every_recommendation_about_doors_has_a_check() {
        let mut cis: Vec<_> = ALL.iter().flat_map(|check| check.cis).copied().collect();
        let wanted = (1..=21)
            .map(|number| format!("1.1.{number}"))
            .filter(|id| !["1.1.9", "1.1.10"].contains(&id.as_str()));
        let wanted = wanted.chain((1..=7).map(|number| format!("2.{number}")));
        let wanted = wanted
            .chain((1..=10).filter(|number| ![3, 4].contains(number)).map(|number| format!("4.1.{number}")));
        let wanted = wanted.chain((1..=4).map(|number| format!("4.2.{number}")));
        let wanted: Vec<_> =
            wanted.chain(["1.2.4", "1.2.5", "1.2.14", "1.2.23", "1.2.26"].map(str::to_owned)).collect();
        for id in &wanted {
            assert!(cis.contains(&id.as_str()), "{id}");
        }
        cis.sort_unstable();
        cis.dedup();
        assert_eq!(cis.len(), wanted.len());
    }
}
