//! Nodes as other distributions make them, and others that are none of a control plane.

use super::{
    CLUSTER, CONFIG, ETCD, ETCD_CHECKS, Fixture, KUBELET_CHECKS, RSA, STATIC_PODS, evidence, expect,
};
use crate::event::PostureResult::{Fail, NotApplicable, Pass, Unknown, Warn};
use crate::running::program::Program;

#[test]
fn a_worker_runs_no_control_plane() {
    let fixture = Fixture::new(&[
        ("/var/lib/kubelet/config.yaml", CONFIG),
        ("/etc/kubernetes/manifests/", ""),
        ("/etc/kubernetes/pki/ca.crt", CLUSTER),
    ]);
    let mut fixture = fixture.runs(Program::Kubelet, "kubelet --config=/var/lib/kubelet/config.yaml", b"");
    let found = fixture.look();
    expect(&found, Pass, &KUBELET_CHECKS);
    expect(&found, Warn, &["static_pods.path"]);
    expect(&found, NotApplicable, &ETCD_CHECKS);
    expect(
        &found,
        NotApplicable,
        &["apiserver.etcd_tls", "apiserver.node_restriction", "etcd.file_permissions"],
    );
    expect(&found, Pass, &STATIC_PODS);
    // Whoever sees only his own processes does not know that.
    fixture.hidden = Some("only root sees them".to_owned());
    expect(&fixture.look(), Unknown, &ETCD_CHECKS);
    (fixture.hidden, fixture.others) = (None, vec![Program::Etcd]);
    let found = fixture.look();
    expect(&found, Unknown, &ETCD_CHECKS);
    expect(&found, NotApplicable, &["apiserver.etcd_tls"]);
    (fixture.others, fixture.too_many) = (Vec::new(), 2);
    expect(&fixture.look(), Unknown, &KUBELET_CHECKS);
    // What may be etcd's manifest is too large to be read.
    fixture.too_many = 0;
    fixture.write("/etc/kubernetes/manifests/etcd.yaml", &vec![b' '; 2 << 20]);
    let found = fixture.look();
    expect(&found, Unknown, &ETCD_CHECKS);
    expect(&found, Unknown, &["static_pods.path", "static_pods.invisible"]);
}

#[test]
fn k3s_is_one_program() {
    let files = [
        ("/var/lib/rancher/k3s/agent/pod-manifests/", ""),
        ("/var/lib/rancher/k3s/agent/client-ca.crt", CLUSTER),
        ("/var/lib/rancher/k3s/server/tls/client-ca.crt", CLUSTER),
        ("/etc/rancher/k3s/config.yaml", "token: secret\n"),
    ];
    let found = Fixture::new(&files).runs(Program::K3s, "k3s server", b"").look();
    expect(&found, Pass, &KUBELET_CHECKS);
    expect(&found, Pass, &["apiserver.node_restriction", "apiserver.kubelet_certificate_authority"]);
    expect(&found, Warn, &["static_pods.path"]);
    // The datastore is a socket.
    expect(&found, NotApplicable, &ETCD_CHECKS);
    expect(&found, NotApplicable, &["apiserver.etcd_tls"]);
    assert_eq!(
        evidence(&found["kubelet.anonymous_auth"], "authentication.anonymous.enabled"),
        "false < default"
    );

    let fixture = Fixture::new(&files);
    fixture.write(
        "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/00-k3s-defaults.conf",
        b"authentication: {anonymous: {enabled: false}}\n",
    );
    fixture.write("/etc/rancher/k3s/config.yaml", b"kubelet-arg: [anonymous-auth=true]\nkube-apiserver-arg: ['disable-admission-plugins=NodeRestriction']\n");
    let etcd = "client-transport-security: {cert-file: /c, key-file: /k, client-cert-auth: true, trusted-ca-file: /var/lib/rancher/k3s/server/tls/etcd/server-ca.crt}\n\
                peer-transport-security: {cert-file: /c, key-file: /k, client-cert-auth: true, trusted-ca-file: /var/lib/rancher/k3s/server/tls/etcd/server-ca.crt}\n\
                listen-client-urls: https://127.0.0.1:2379\nlisten-peer-urls: https://127.0.0.1:2380\n";
    fixture.write("/var/lib/rancher/k3s/server/db/etcd/config", etcd.as_bytes());
    fixture.write("/var/lib/rancher/k3s/server/tls/etcd/server-ca.crt", ETCD.as_bytes());
    let found = fixture.runs(Program::K3s, "k3s server", b"").look();
    expect(&found, Fail, &["kubelet.anonymous_auth", "apiserver.node_restriction"]);
    expect(&found, Pass, &ETCD_CHECKS);
    expect(&found, Pass, &["apiserver.etcd_tls"]);
    assert!(found.values().all(|posture| !format!("{posture:?}").contains("secret")));

    let fixture = Fixture::new(&files);
    fixture.write("/etc/rancher/k3s/config.yaml", b"kubelet-arg: [config=/k/c, config-dir=/k/d]\n");
    fixture.write("/k/c", b"authorization: {mode: AlwaysAllow}\n");
    fixture.write("/k/d/1.conf", b"readOnlyPort: 10255\n");
    let found = fixture.runs(Program::K3s, "k3s server", b"").look();
    expect(&found, Fail, &["kubelet.authorization_mode", "kubelet.read_only_port"]);
    expect(&found, Pass, &["kubelet.anonymous_auth"]);
}

#[test]
fn rke2_has_flags_for_the_kubelet_and_a_file_for_etcd() {
    let dir = "/var/lib/rancher/rke2";
    let pod = format!(
        "kind: Pod\nmetadata: {{name: etcd, namespace: kube-system}}\nspec:\n  containers:\n  - {{name: etcd, command: [etcd, --config-file={dir}/server/db/etcd/config]}}\n"
    );
    let etcd = format!(
        "client-transport-security: {{cert-file: /c, key-file: /k, client-cert-auth: true, trusted-ca-file: {dir}/server/tls/etcd/server-ca.crt}}\n\
         peer-transport-security: {{cert-file: /c, key-file: /k, client-cert-auth: true, trusted-ca-file: {dir}/server/tls/etcd/peer-ca.crt}}\n\
         listen-client-urls: https://127.0.0.1:2379\nlisten-peer-urls: https://127.0.0.1:2380\n"
    );
    let fixture = Fixture::new(&[
        (&format!("{dir}/agent/pod-manifests/etcd.yaml"), pod.as_str()),
        (&format!("{dir}/server/db/etcd/config"), &etcd),
        (&format!("{dir}/server/tls/etcd/server-ca.crt"), ETCD),
        (&format!("{dir}/server/tls/etcd/peer-ca.crt"), RSA),
        (&format!("{dir}/agent/client-ca.crt"), CLUSTER),
    ]);
    let kubelet = format!(
        "kubelet --anonymous-auth=false --authentication-token-webhook=true --authorization-mode=Webhook --client-ca-file={dir}/agent/client-ca.crt \
         --pod-manifest-path={dir}/agent/pod-manifests --read-only-port=0"
    );
    let found = fixture.runs(Program::Kubelet, &kubelet, b"").runs(Program::Rke2, "rke2 server", b"").look();
    expect(&found, Pass, &KUBELET_CHECKS);
    expect(&found, Pass, &ETCD_CHECKS);
    let told = evidence(&found["etcd.separate_ca"], "client-transport-security.trusted-ca-file");
    assert_eq!(told, format!("{dir}/server/tls/etcd/server-ca.crt < file {dir}/server/db/etcd/config"));
}

#[test]
fn eks_has_drop_ins_and_no_control_plane() {
    let config = r#"{"kind": "KubeletConfiguration", "authentication": {"anonymous": {"enabled": false}, "webhook": {"enabled": true},
                   "x509": {"clientCAFile": "/etc/kubernetes/pki/ca.crt"}}, "authorization": {"mode": "Webhook"}, "readOnlyPort": 0}"#;
    let fixture = Fixture::new(&[
        ("/etc/kubernetes/kubelet/config.json", config),
        ("/etc/kubernetes/kubelet/config.json.d/40-nodeadm.conf", r#"{"readOnlyPort": 10255}"#),
        ("/etc/kubernetes/manifests/", ""),
        ("/etc/kubernetes/pki/ca.crt", CLUSTER),
    ]);
    fixture.mode("/etc/kubernetes/kubelet/config.json.d/40-nodeadm.conf", 0o644);
    let cmdline = "kubelet --config=/etc/kubernetes/kubelet/config.json --config-dir=/etc/kubernetes/kubelet/config.json.d";
    let found = fixture.runs(Program::Kubelet, cmdline, b"").look();
    expect(&found, Fail, &["kubelet.read_only_port"]);
    expect(&found, Pass, &["kubelet.anonymous_auth", "static_pods.path"]);
    expect(&found, NotApplicable, &ETCD_CHECKS);
    let told = evidence(&found["kubelet.read_only_port"], "readOnlyPort");
    assert_eq!(told, "10255 < drop-in /etc/kubernetes/kubelet/config.json.d/40-nodeadm.conf");
}

#[test]
fn microk8s_has_its_flags_in_a_file() {
    let fixture = Fixture::new(&[
        (
            "/var/snap/microk8s/current/args/kubelet",
            "--anonymous-auth=false\n--authentication-token-webhook=true\n--client-ca-file=${SNAP_DATA}/certs/ca.crt\n",
        ),
        (
            "/var/snap/microk8s/current/args/kube-apiserver",
            "--etcd-servers=\"unix://${SNAP_DATA}/kine.sock:12379\"\n",
        ),
        ("/var/snap/microk8s/7/certs/ca.crt", CLUSTER),
    ]);
    let cmdline = "kubelite --kubelet-args-file=/var/snap/microk8s/current/args/kubelet --apiserver-args-file=/var/snap/microk8s/current/args/kube-apiserver";
    let found = fixture.runs(Program::Kubelite, cmdline, b"SNAP_DATA=/var/snap/microk8s/7\0").look();
    expect(&found, Pass, &["kubelet.anonymous_auth", "kubelet.authentication"]);
    // Without a configuration file, what is usual is open.
    expect(
        &found,
        Fail,
        &["kubelet.authorization_mode", "kubelet.read_only_port", "apiserver.node_restriction"],
    );
    expect(&found, NotApplicable, &["apiserver.etcd_tls"]);
}

#[test]
fn a_machine_that_is_no_node_is_none() {
    let found = Fixture::new(&[("/etc/passwd", "")]).look();
    for (id, posture) in &found {
        assert_eq!(
            (posture.result, posture.detail.as_str()),
            (NotApplicable, "nothing here tells of a Kubernetes node"),
            "{id}"
        );
    }
}
