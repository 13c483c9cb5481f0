//! The shipped manifests: of the API's form, and with no more privileges than they need.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::daemonset::{CONFIG_MAP, DAEMON_SET, DaemonSet, Kind, Mount, NAMESPACE, Toleration};

/// Kubernetes' own, of the oldest version that has all that is used. It allows no key that is not in it. Of PyPI's `kubernetes-validate`,
/// made one file by the script beside it, so that tests need neither Python nor a network.
const SCHEMA: &str = include_str!("fixtures/kubernetes-1.30.json");

#[expect(clippy::unwrap_used, reason = "clippy sees no test in a helper of tests")]
fn mistakes(kind: &str, yaml: &str) -> Vec<String> {
    let definitions: Value = serde_json::from_str(SCHEMA).unwrap();
    let schema = json!({"$ref": format!("#/$defs/io.k8s.api.{kind}"), "$defs": definitions});
    let manifest = yaml_value(yaml);
    assert_eq!(manifest["kind"], json!(kind.rsplit('.').next()));
    let validator = jsonschema::validator_for(&schema).unwrap();
    validator.iter_errors(&manifest).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[expect(clippy::unwrap_used, reason = "clippy sees no test in a helper of tests")]
fn yaml_value(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap()
}

#[test]
fn they_are_of_the_form_of_the_api() {
    for (kind, manifest) in [
        ("core.v1.Namespace", NAMESPACE),
        ("core.v1.ConfigMap", CONFIG_MAP),
        ("apps.v1.DaemonSet", DAEMON_SET),
    ] {
        assert!(mistakes(kind, manifest).is_empty(), "{kind}: {:#?}", mistakes(kind, manifest));
    }
}

#[test]
fn a_mistake_is_found() {
    for (right, wrong, place) in [
        ("hostPID: true", "hostPid: true", "/spec/template/spec: "),
        (
            "periodSeconds: 10",
            "periodSeconds: often",
            "/spec/template/spec/containers/0/readinessProbe/periodSeconds: ",
        ),
        ("- name: bypassd\n", "- title: bypassd\n", "/spec/template/spec/containers/0: "),
    ] {
        let mistakes = mistakes("apps.v1.DaemonSet", &DAEMON_SET.replace(right, wrong));
        assert!(mistakes.iter().any(|mistake| mistake.starts_with(place)), "{wrong}: {mistakes:#?}");
    }
}

fn kind(name: &str) -> Kind {
    Kind { r#type: name.to_owned() }
}

/// Each of these was decided; whoever changes one decides again, here and in the README.
#[test]
fn it_has_these_privileges_and_no_more() {
    let daemon_set = DaemonSet::shipped().unwrap();
    let pod = &daemon_set.spec.template.spec;
    assert!(pod.host_pid && !pod.host_network && !pod.host_ipc && pod.host_users);
    assert!(!pod.automount_service_account_token && !pod.enable_service_links);
    assert_eq!((pod.security_context.run_as_user, pod.security_context.run_as_group), (0, 0));
    assert_eq!(pod.security_context.seccomp_profile, kind("RuntimeDefault"));
    assert_eq!(pod.security_context.app_armor_profile, kind("Unconfined"));
    assert_eq!(pod.security_context.se_linux_options, kind("spc_t"));
    let security = &daemon_set.container().unwrap().security_context;
    assert!(!security.privileged && !security.allow_privilege_escalation);
    assert!(security.read_only_root_filesystem);
    assert_eq!(security.capabilities.drop, ["ALL"]);
    assert_eq!(
        security.capabilities.add,
        ["BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH", "SYS_RESOURCE"]
    );
}

#[test]
fn it_runs_on_every_node_and_is_not_throttled() {
    let daemon_set = DaemonSet::shipped().unwrap();
    let pod = &daemon_set.spec.template.spec;
    assert_eq!(pod.tolerations, [Toleration { operator: "Exists".to_owned() }]);
    assert_eq!(pod.priority_class_name, "system-node-critical");
    let resources = &daemon_set.container().unwrap().resources;
    let list = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    };
    assert_eq!(resources.requests, list(&[("cpu", "20m"), ("memory", "48Mi")]));
    assert_eq!(resources.limits, list(&[("memory", "128Mi")]));
}

#[test]
fn it_mounts_nothing_of_the_node() {
    let daemon_set = DaemonSet::shipped().unwrap();
    let pod = &daemon_set.spec.template.spec;
    let container = daemon_set.container().unwrap();
    let mount = |name: &str, path: &str, read_only| Mount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only,
    };
    assert_eq!(container.volume_mounts, [mount("policy", "/etc/bypassd", true), mount("run", "/run", false)]);
    let [policy, run] = pod.volumes.as_slice() else { panic!("{:?}", pod.volumes) };
    let config_map = yaml_value(CONFIG_MAP);
    assert_eq!(json!(policy.config_map.as_ref().map(|map| &map.name)), config_map["metadata"]["name"]);
    assert!(config_map["data"]["policy.yaml"].is_string());
    assert!(run.config_map.is_none() && run.empty_dir.as_ref().is_some_and(|dir| dir.medium == "Memory"));
    assert_eq!((policy.name.as_str(), run.name.as_str()), ("policy", "run"));
}

#[test]
fn what_is_probed_is_what_it_serves() {
    let daemon_set = DaemonSet::shipped().unwrap();
    let container = daemon_set.container().unwrap();
    let [port] = container.ports.as_slice() else { panic!("{:?}", container.ports) };
    let address = format!("0.0.0.0:{}", port.container_port);
    let served = container.args.windows(2).any(|pair| pair == ["--http", &address]);
    assert!(
        served && container.args.contains(&"/etc/bypassd/policy.yaml".to_owned()),
        "{:?}",
        container.args
    );
    for (probe, path) in [(&container.liveness_probe, "/livez"), (&container.readiness_probe, "/readyz")] {
        assert_eq!((probe.http_get.path.as_str(), &probe.http_get.port), (path, &port.name));
    }
    let [node] = container.env.as_slice() else { panic!("{:?}", container.env) };
    assert_eq!(
        (node.name.as_str(), node.value_from.field_ref.field_path.as_str()),
        ("NODE_NAME", "spec.nodeName")
    );
}

#[test]
fn the_names_belong_together() {
    let daemon_set = DaemonSet::shipped().unwrap();
    let labels = &daemon_set.spec.template.metadata.labels;
    assert_eq!(&daemon_set.spec.selector.match_labels, labels);
    let image = &daemon_set.container().unwrap().image;
    assert_eq!(*image, format!("localhost/bypassd:{}", env!("CARGO_PKG_VERSION")));
    let labels = &yaml_value(NAMESPACE)["metadata"]["labels"];
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "privileged");
}
