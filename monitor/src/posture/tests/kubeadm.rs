//! A node of kubeadm's control plane, and what becomes of its findings when something about it is changed.

use super::{
    CLUSTER, CLUSTER_RENEWED, CONFIG, ETCD, ETCD_CHECKS, Fixture, KUBELET_CHECKS, RSA, STATIC_PODS, evidence,
    expect,
};
use crate::event::PostureResult::{Fail, NotApplicable, Pass, Unknown, Warn};
use crate::running::program::Program;

const APISERVER: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: kube-apiserver, namespace: kube-system}\nspec:\n  hostNetwork: true\n  containers:\n  \
                         - name: kube-apiserver\n    image: registry.example/kube-apiserver:v1.34.0\n    command:\n    - kube-apiserver\n    - --client-ca-file=/etc/kubernetes/pki/ca.crt\n    \
                         - --enable-admission-plugins=NodeRestriction\n    - --etcd-cafile=/etc/kubernetes/pki/etcd/ca.crt\n    \
                         - --etcd-certfile=/etc/kubernetes/pki/apiserver-etcd-client.crt\n    - --etcd-keyfile=/etc/kubernetes/pki/apiserver-etcd-client.key\n    \
                         - --etcd-servers=https://127.0.0.1:2379\n    - --kubelet-client-certificate=/etc/kubernetes/pki/apiserver-kubelet-client.crt\n    \
                         - --kubelet-client-key=/etc/kubernetes/pki/apiserver-kubelet-client.key\n  volumes:\n  - {name: k8s-certs, hostPath: {path: /etc/kubernetes/pki}}\n";

const ETCD_POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: etcd, namespace: kube-system}\nspec:\n  hostNetwork: true\n  containers:\n  - name: etcd\n    \
                        image: registry.example/etcd:3.6.4-0\n    command:\n    - etcd\n    - --cert-file=/etc/kubernetes/pki/etcd/server.crt\n    - --client-cert-auth=true\n    \
                        - --key-file=/etc/kubernetes/pki/etcd/server.key\n    - --listen-client-urls=https://127.0.0.1:2379,https://10.0.0.7:2379\n    \
                        - --listen-peer-urls=https://10.0.0.7:2380\n    - --peer-cert-file=/etc/kubernetes/pki/etcd/peer.crt\n    - --peer-client-cert-auth=true\n    \
                        - --peer-key-file=/etc/kubernetes/pki/etcd/peer.key\n    - --peer-trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt\n    \
                        - --trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt\n  volumes:\n  - {name: data, hostPath: {path: /var/lib/etcd}}\n  \
                        - {name: certs, hostPath: {path: /etc/kubernetes/pki/etcd}}\n";

pub(super) fn kubeadm() -> Fixture {
    let fixture = Fixture::new(&[
        ("/var/lib/kubelet/config.yaml", CONFIG),
        ("/var/lib/etcd/member/snap/db", "x"),
        ("/etc/kubernetes/manifests/kube-apiserver.yaml", APISERVER),
        ("/etc/kubernetes/manifests/etcd.yaml", ETCD_POD),
        ("/etc/kubernetes/pki/ca.crt", CLUSTER),
        ("/etc/kubernetes/pki/ca.key", "x"),
        ("/etc/kubernetes/pki/etcd/ca.crt", ETCD),
        ("/etc/kubernetes/admin.conf", "x"),
    ]);
    fixture.mode("/var/lib/etcd", 0o700);
    let cmdline = "kubelet --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf \
                   --config=/var/lib/kubelet/config.yaml";
    fixture.runs(Program::Kubelet, cmdline, b"")
}

#[test]
fn kubeadm_is_shut_but_for_what_it_leaves_open() {
    let found = kubeadm().look();
    expect(&found, Pass, &KUBELET_CHECKS);
    expect(&found, Pass, &ETCD_CHECKS);
    expect(&found, Pass, &STATIC_PODS);
    expect(
        &found,
        Pass,
        &["static_pods.path", "static_pods.url", "apiserver.etcd_tls", "apiserver.node_restriction"],
    );
    expect(&found, Pass, &["apiserver.kubelet_client_certificate"]);
    expect(&found, Warn, &["apiserver.kubelet_certificate_authority"]);
    expect(&found, NotApplicable, &["containers.host_paths", "runtime.socket_permissions"]);
    let told = evidence(&found["etcd.client_cert_auth"], "--client-cert-auth");
    assert_eq!(told, "true < flag /etc/kubernetes/manifests/etcd.yaml");
}

#[test]
fn one_key_under_two_names_is_one_authority() {
    for (authority, result) in [
        (CLUSTER.to_owned(), Fail),
        (CLUSTER_RENEWED.to_owned(), Fail),
        (format!("{ETCD}\nwords between\n{CLUSTER_RENEWED}"), Fail),
        (format!("{ETCD}{RSA}"), Pass),
        (ETCD.replace("MII", "MIJ"), Unknown),
        (ETCD.replace("-----END", "-----Z"), Unknown),
        (String::new(), Unknown),
    ] {
        let fixture = kubeadm();
        fixture.write("/etc/kubernetes/pki/etcd/ca.crt", authority.as_bytes());
        expect(&fixture.look(), result, &["etcd.separate_ca"]);
    }
    let fixture = kubeadm();
    fixture.write("/etc/kubernetes/pki/ca.crt", b"\xff\x00");
    expect(&fixture.look(), Unknown, &["etcd.separate_ca"]);
}

#[test]
fn an_open_etcd_is_told_setting_by_setting() {
    let fixture = kubeadm();
    let open = ETCD_POD
        .replace("--client-cert-auth=true", "--auto-tls=true")
        .replace("--peer-client-cert-auth=true", "--peer-auto-tls")
        .replace("    - --trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt\n", "")
        .replace("    - --peer-trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt\n", "")
        .replace("https://10.0.0.7:2379", "http://10.0.0.7:2379")
        .replace("--peer-cert-file=", "--other=");
    fixture.write("/etc/kubernetes/manifests/etcd.yaml", open.as_bytes());
    let found = fixture.look();
    expect(&found, Pass, &["etcd.tls"]);
    expect(
        &found,
        Fail,
        &["etcd.client_cert_auth", "etcd.peer_client_cert_auth", "etcd.auto_tls", "etcd.peer_auto_tls"],
    );
    expect(&found, Fail, &["etcd.peer_tls", "etcd.listen"]);
    expect(&found, Unknown, &["etcd.separate_ca"]);
}

#[test]
fn a_running_etcd_goes_over_its_manifest_and_a_file_over_all() {
    let fixture = kubeadm();
    fixture.write(
        "/e/c.yaml",
        b"client-transport-security: {client-cert-auth: false}\nlisten-client-urls: https://0.0.0.0:12379\n",
    );
    let environ = b"ETCD_CLIENT_CERT_AUTH=true\0ETCD_TRUSTED_CA_FILE=/etc/kubernetes/pki/etcd/ca.crt\0";
    let mut fixture = fixture.runs(Program::Etcd, "etcd --config-file=/e/c.yaml --client-cert-auth", environ);
    let found = fixture.look();
    expect(&found, Fail, &["etcd.client_cert_auth", "etcd.tls"]);
    expect(&found, Warn, &["etcd.listen"]);
    fixture.processes.pop();
    let fixture = fixture.runs(Program::Etcd, "etcd", environ);
    let found = fixture.look();
    expect(&found, Pass, &["etcd.client_cert_auth", "etcd.separate_ca"]);
    assert_eq!(evidence(&found["etcd.client_cert_auth"], "ETCD_CLIENT_CERT_AUTH"), "true < environment");
}

#[test]
fn manifests_that_nobody_sees_are_seen() {
    let fixture = kubeadm();
    let pod = |head: &str, spec: &str| {
        format!("kind: Pod\nmetadata: {{name: x, {head}}}\nspec: {{containers: [{{name: c}}], {spec}}}\n")
    };
    fixture.write("/etc/kubernetes/manifests/x.yaml", pod("namespace: NO_SUCH", "hostPID: true").as_bytes());
    fixture.write("/etc/kubernetes/manifests/.y.yaml", pod("namespace: NO_SUCH", "").as_bytes());
    fixture.link("/srv/elsewhere.yaml", "/etc/kubernetes/manifests/z.yaml");
    let found = fixture.look();
    expect(&found, Fail, &["static_pods.invisible"]);
    expect(&found, Warn, &["static_pods.hidden", "static_pods.unexpected"]);
    assert_eq!(
        evidence(&found["static_pods.invisible"], "metadata.namespace"),
        "NO_SUCH < node /etc/kubernetes/manifests/x.yaml"
    );
    let hidden: Vec<_> =
        found["static_pods.hidden"].evidence.iter().filter_map(|evidence| evidence.file.as_deref()).collect();
    assert_eq!(hidden, ["/etc/kubernetes/manifests/.y.yaml", "/etc/kubernetes/manifests/z.yaml"]);

    let fixture = kubeadm();
    let volumes = "volumes: [{hostPath: {path: /run/containerd}}]";
    fixture.write("/etc/kubernetes/manifests/x.yaml", pod("namespace: default", volumes).as_bytes());
    expect(&fixture.look(), Fail, &["static_pods.host_paths"]);
    // What the control plane needs is nobody else's.
    fixture.write(
        "/etc/kubernetes/manifests/x.yaml",
        pod("namespace: default", "volumes: [{hostPath: {path: /var/lib/etcd}}]").as_bytes(),
    );
    expect(&fixture.look(), Fail, &["static_pods.host_paths"]);
    fixture.write(
        "/etc/kubernetes/manifests/x.yaml",
        pod("namespace: default", "serviceAccountName: a").as_bytes(),
    );
    expect(&fixture.look(), Warn, &["static_pods.invisible"]);
    fixture.write("/etc/kubernetes/manifests/x.yaml", b"kind: [Pod");
    expect(
        &fixture.look(),
        Warn,
        &STATIC_PODS.map(|id| if id == "static_pods.hidden" { "static_pods.invisible" } else { id }),
    );
}
