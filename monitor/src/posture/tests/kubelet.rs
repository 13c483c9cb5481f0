//! The kubelet's settings in force, against what the kubelet itself does.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Fixture, evidence, expect};
use crate::event::PostureResult::{Fail, Pass, Unknown, Warn};
use crate::running::program::Program;

const HEAD: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";

/// `anonymous webhook mode port` in force.
fn in_force(files: &[(&str, &str)], cmdline: &str) -> String {
    let found = Fixture::new(files).runs(Program::Kubelet, cmdline, b"").look();
    let value = |id: &str, keys: [&str; 2]| {
        let posture = &found[id];
        let evidence = posture.evidence.iter().find(|evidence| keys.contains(&evidence.key.as_str()));
        evidence
            .and_then(|evidence| evidence.value.clone())
            .unwrap_or_else(|| posture.result.name().to_owned())
    };
    [
        value("kubelet.anonymous_auth", ["authentication.anonymous.enabled", "--anonymous-auth"]),
        value("kubelet.authentication", ["authentication.webhook.enabled", "--authentication-token-webhook"]),
        value("kubelet.authorization_mode", ["authorization.mode", "--authorization-mode"]),
        value("kubelet.read_only_port", ["readOnlyPort", "--read-only-port"]),
    ]
    .join(" ")
}

/// <https://github.com/kubernetes/kubernetes/blob/v1.34.0/cmd/kubelet/app/options/options.go> `applyLegacyDefaults`,
/// <https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/apis/config/v1beta1/defaults.go>
#[test]
fn what_is_usual_is_another_thing_with_a_file() {
    let open = "true false AlwaysAllow 10255";
    let shut = "false true Webhook 0";
    let file = |text: &str| format!("{HEAD}{text}");
    let (empty, on, void) = (
        file(""),
        file("authentication: {anonymous: {enabled: true}}\nreadOnlyPort: 10255\n"),
        file("authentication: {anonymous: null}\nreadOnlyPort: ~\n"),
    );
    let nothing = file("authentication: null\nauthorization: {mode: \"\"}\n");
    let files = [
        ("/k/empty", empty.as_str()),
        ("/k/on", &on),
        ("/k/one/10-on.conf", &on),
        ("/k/two/10-on.conf", &on),
        ("/k/two/20-void.conf", &void),
        ("/k/three/10-nothing.conf", &nothing),
        ("/k/three/20.yaml", &on),
        ("/k/json", r#"{"kind": "KubeletConfiguration", "authorization": {"mode": "AlwaysAllow"}}"#),
        ("/k/words", "authentication: {anonymous: {enabled: yes}, webhook: {enabled: off}}\n"),
    ];
    for (cmdline, expected) in [
        ("kubelet", open),
        ("kubelet --config=/k/empty", shut),
        ("kubelet --config /k/empty", shut),
        // The last one counts, and an empty one is none.
        ("kubelet --config=/k/on --config=/k/empty", shut),
        ("kubelet --config=", open),
        ("kubelet --config=/k/on", "true true Webhook 10255"),
        ("kubelet --config=/k/json", "false true AlwaysAllow 0"),
        ("kubelet --config=/k/words", "true false Webhook 0"),
        ("kubelet --config=/k/empty --config-dir=/k/one", "true true Webhook 10255"),
        // Drop-ins alone change nothing about what is usual without a file.
        ("kubelet --config-dir=/k/one", "true false AlwaysAllow 10255"),
        ("kubelet --config-dir=/k/absent", open),
        // What a drop-in takes away gets the value that is usual with a file.
        ("kubelet --config-dir=/k/two", "false false AlwaysAllow 0"),
        ("kubelet --config=/k/on --config-dir=/k/two", shut),
        ("kubelet --config-dir=/k/three", "false true Webhook 10255"),
        ("kubelet --config=/k/on --anonymous-auth=false --read-only-port 0", "false true Webhook 0"),
        ("kubelet --config=/k/empty --anonymous-auth", "true true Webhook 0"),
        (
            "kubelet --anonymous_auth=false --authentication-token-webhook --authorization-mode=Webhook --read-only-port=0",
            shut,
        ),
        ("kubelet --config=/k/empty --authorization-mode=AlwaysAllow --authorization-mode=Webhook", shut),
    ] {
        assert_eq!(in_force(&files, cmdline), expected, "{cmdline}");
    }
}

#[test]
fn each_setting_is_told_with_where_it_is_from() {
    let fixture = Fixture::new(&[
        ("/k/config", "authentication: {x509: {clientCAFile: /k/ca.crt}, webhook: {enabled: true}}\n"),
        ("/k/d/10.conf", "authorization: {mode: AlwaysAllow}\n"),
    ]);
    let found = fixture
        .runs(Program::Kubelet, "kubelet --config=/k/config --config-dir=/k/d --anonymous-auth=true", b"")
        .look();
    expect(&found, Fail, &["kubelet.anonymous_auth", "kubelet.authorization_mode"]);
    expect(
        &found,
        Pass,
        &["kubelet.authentication", "kubelet.read_only_port", "static_pods.path", "static_pods.url"],
    );
    for (id, key, expected) in [
        ("kubelet.anonymous_auth", "--anonymous-auth", "true < flag"),
        ("kubelet.authorization_mode", "authorization.mode", "AlwaysAllow < drop-in /k/d/10.conf"),
        ("kubelet.authentication", "authentication.x509.clientCAFile", "/k/ca.crt < file /k/config"),
        ("kubelet.read_only_port", "readOnlyPort", "0 < default"),
    ] {
        assert_eq!(evidence(&found[id], key), expected);
        assert_eq!(found[id].evidence[0].process.as_deref(), Some("kubelet[7]"));
    }
}

#[test]
fn what_cannot_be_read_is_never_fine() {
    const IDS: [&str; 6] = [
        "kubelet.anonymous_auth",
        "kubelet.authorization_mode",
        "kubelet.authentication",
        "kubelet.read_only_port",
        "static_pods.path",
        "static_pods.url",
    ];
    let files = [
        ("/k/bad", "authentication: [secret"),
        ("/k/good", HEAD),
        ("/k/d/10.conf", "\u{0}\u{1}"),
        ("/k/list", "authentication: {anonymous: {enabled: [false, true]}}\n"),
    ];
    for cmdline in [
        "kubelet --config=/k/bad",
        "kubelet --config=/k/absent",
        "kubelet --config=/k/good --config-dir=/k/d",
        "kubelet --config=/k/list",
    ] {
        let found = Fixture::new(&files).runs(Program::Kubelet, cmdline, b"").look();
        expect(&found, Unknown, &IDS);
        assert!(found.values().all(|posture| !format!("{posture:?}").contains("secret")), "{cmdline}");
    }
    // What a flag says counts all the same.
    let found = Fixture::new(&files)
        .runs(Program::Kubelet, "kubelet --config=/k/bad --anonymous-auth=true --read-only-port=10255", b"")
        .look();
    expect(&found, Fail, &["kubelet.anonymous_auth", "kubelet.read_only_port"]);
    let found = Fixture::new(&files)
        .runs(
            Program::Kubelet,
            "kubelet --config=/k/good --anonymous-auth=perhaps --authorization-mode=RBAC --read-only-port=x",
            b"",
        )
        .look();
    expect(
        &found,
        Unknown,
        &["kubelet.anonymous_auth", "kubelet.authorization_mode", "kubelet.read_only_port"],
    );
}

/// Of a kubelet that does not run, only what is bad is known.
#[test]
fn files_alone_prove_nothing() {
    let files =
        |text: &'static str| [("/var/lib/kubelet/config.yaml", text), ("/etc/kubernetes/manifests/", "")];
    let found = Fixture::new(&files("readOnlyPort: 0\n")).look();
    expect(
        &found,
        Unknown,
        &["kubelet.anonymous_auth", "kubelet.authorization_mode", "kubelet.read_only_port"],
    );
    assert!(found["kubelet.anonymous_auth"].detail.contains("no kubelet runs here"), "{found:#?}");
    let found = Fixture::new(&files("readOnlyPort: 10255\n")).look();
    expect(&found, Fail, &["kubelet.read_only_port"]);
}

#[test]
fn pods_of_a_server_are_judged_by_where_it_is() {
    for (url, profile, result) in [
        ("http://127.0.0.1:7445/pods", "/var/lib/k0s/", Pass),
        ("http://127.0.0.1:7445/pods", "/srv/", Warn),
        ("http://10.0.0.9/pods", "/var/lib/k0s/", Fail),
        ("https://user:hunter2@example.org/pods", "/srv/", Fail),
        ("nonsense", "/srv/", Fail),
    ] {
        let fixture = Fixture::new(&[(profile, "")]);
        let found = fixture.runs(Program::Kubelet, &format!("kubelet --manifest-url={url}"), b"").look();
        expect(&found, result, &["static_pods.url"]);
        assert!(!format!("{:?}", found["static_pods.url"]).contains("hunter2"));
    }
}

#[test]
fn a_port_that_is_shut_by_its_setting_and_open_all_the_same_is_told() {
    let mut fixture = Fixture::new(&[("/k/c", HEAD)]).runs(Program::Kubelet, "kubelet --config=/k/c", b"");
    fixture.listening =
        Ok(vec![super::Listener { table: "/proc/1/net/tcp", ip: [0, 0, 0, 0].into(), port: 10255 }]);
    expect(&fixture.look(), Warn, &["kubelet.read_only_port"]);
    fixture.listening = Err("/proc/1/net/tcp: Permission denied".to_owned());
    expect(&fixture.look(), Unknown, &["kubelet.read_only_port"]);
}

/// RFC 7396, which the kubelet's drop-ins are merged by.
fn patch(base: &mut Value, over: &Value) {
    let Value::Object(over) = over else {
        *base = over.clone();
        return;
    };
    if !base.is_object() {
        *base = Value::Object(Map::new());
    }
    let Value::Object(base) = base else { return };
    for (key, value) in over {
        if value.is_null() {
            base.remove(key);
        } else {
            patch(base.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// One of the values that a file can have for a key, nothing included.
fn document() -> impl Strategy<Value = Value> {
    let switch = prop_oneof![
        Just(None),
        Just(Some(json!(null))),
        any::<bool>().prop_map(|on| Some(json!({"enabled": on}))),
        Just(Some(json!({"enabled": null})))
    ];
    let mode = prop_oneof![
        Just(None),
        Just(Some(json!(null))),
        Just(Some(json!({"mode": "Webhook"}))),
        Just(Some(json!({"mode": "AlwaysAllow"}))),
        Just(Some(json!({})))
    ];
    let port =
        prop_oneof![Just(None), Just(Some(json!(null))), Just(Some(json!(0))), Just(Some(json!(10255)))];
    (switch.clone(), switch, mode, port, any::<bool>()).prop_map(|(anonymous, webhook, mode, port, void)| {
        let mut document = json!({"kind": "KubeletConfiguration"});
        let mut authentication = Map::new();
        authentication.extend(anonymous.map(|value| ("anonymous".to_owned(), value)));
        authentication.extend(webhook.map(|value| ("webhook".to_owned(), value)));
        if !authentication.is_empty() {
            document["authentication"] = authentication.into();
        } else if void {
            document["authentication"] = Value::Null;
        }
        for (key, value) in [("authorization", mode), ("readOnlyPort", port)] {
            if let Some(value) = value {
                document[key] = value;
            }
        }
        document
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Layers of settings come out as the kubelet's own merge and defaulting would have them.
    #[test]
    fn layers_are_merged_as_the_kubelet_merges_them(
        file in proptest::option::of(document()),
        drop_ins in proptest::collection::vec(document(), 0..4),
        anonymous in proptest::option::of(any::<bool>()),
        port in proptest::option::of(prop_oneof![Just(0u16), Just(10255)]),
    ) {
        let open = json!({"authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
            "authorization": {"mode": "AlwaysAllow"}, "readOnlyPort": 10255});
        let shut = json!({"authentication": {"anonymous": {"enabled": false}, "webhook": {"enabled": true}},
            "authorization": {"mode": "Webhook"}, "readOnlyPort": 0});
        let mut wanted = if file.is_some() { shut.clone() } else { open };
        for layer in file.iter().chain(&drop_ins) {
            patch(&mut wanted, layer);
        }
        let mut fixture = Fixture::new(&[("/k/d/", "")]);
        let mut cmdline = "kubelet --config-dir=/k/d".to_owned();
        if let Some(file) = &file {
            fixture.write("/k/config", file.to_string().as_bytes());
            cmdline += " --config=/k/config";
        }
        for (index, drop_in) in drop_ins.iter().enumerate() {
            fixture.write(&format!("/k/d/{index}.conf"), drop_in.to_string().as_bytes());
        }
        if let Some(anonymous) = anonymous {
            cmdline += &format!(" --anonymous-auth={anonymous}");
        }
        if let Some(port) = port {
            cmdline += &format!(" --read-only-port={port}");
        }
        fixture = fixture.runs(Program::Kubelet, &cmdline, b"");
        let found = fixture.look();
        let of = |pointer: &str| wanted.pointer(pointer).or_else(|| shut.pointer(pointer)).unwrap().clone();
        let is_open = anonymous.unwrap_or_else(|| of("/authentication/anonymous/enabled") == json!(true));
        let is_port = port.map_or_else(|| of("/readOnlyPort") != json!(0), |port| port != 0);
        prop_assert_eq!(found["kubelet.anonymous_auth"].result, if is_open { Fail } else { Pass });
        prop_assert_eq!(found["kubelet.read_only_port"].result, if is_port { Fail } else { Pass });
        let is_all = of("/authorization/mode") == json!("AlwaysAllow");
        prop_assert_eq!(found["kubelet.authorization_mode"].result, if is_all { Fail } else { Pass });
        let webhook = of("/authentication/webhook/enabled") == json!(true);
        prop_assert_eq!(found["kubelet.authentication"].result, if webhook { Warn } else { Fail });
    }
}
