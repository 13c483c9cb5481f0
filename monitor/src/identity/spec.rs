//! What a container's OCI configuration says of where it comes from. Nothing else of it is kept: its environment has secrets.

use std::fmt;

use serde::Deserialize;
use serde_json::error::Category;

/// Names of Kubernetes have 253 characters at most, images a few more.
const VALUE_MAX: usize = 1024;

/// Whose annotations count. Runtimes pass those of a pod's author on to the other's names, so each is believed its own alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    Containerd,
    Crio,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spec {
    pub namespace: Option<String>,
    pub pod: Option<String>,
    pub uid: Option<String>,
    /// The container's name in its pod; none for the sandbox.
    pub container: Option<String>,
    pub image: Option<String>,
    pub sandbox_id: Option<String>,
    /// Where the runtime puts its cgroup: a path, or `SLICE:PREFIX:NAME` for systemd.
    pub cgroup: String,
}

/// Why it is not usable. No part of the file is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusable(&'static str);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    annotations: Annotations,
    #[serde(default)]
    linux: Linux,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Linux {
    cgroups_path: String,
}

/// The runtimes' own. Of CRI-O's, those are left out that a pod's author can set: it writes the labels last, which the kubelet chooses.
/// <https://github.com/containerd/containerd/blob/main/internal/cri/annotations/annotations.go>
#[derive(Default, Deserialize)]
#[serde(default)]
struct Annotations {
    #[serde(rename = "io.kubernetes.cri.sandbox-namespace")]
    namespace: Option<String>,
    #[serde(rename = "io.kubernetes.cri.sandbox-name")]
    pod: Option<String>,
    #[serde(rename = "io.kubernetes.cri.sandbox-uid")]
    uid: Option<String>,
    #[serde(rename = "io.kubernetes.cri.container-name")]
    container: Option<String>,
    #[serde(rename = "io.kubernetes.cri.container-type")]
    kind: Option<String>,
    #[serde(rename = "io.kubernetes.cri.image-name")]
    image: Option<String>,
    #[serde(rename = "io.kubernetes.cri.podsandbox.image-name")]
    sandbox_image: Option<String>,
    #[serde(rename = "io.kubernetes.cri.sandbox-id")]
    sandbox_id: Option<String>,

    #[serde(rename = "io.kubernetes.pod.namespace")]
    crio_namespace: Option<String>,
    #[serde(rename = "io.kubernetes.pod.name")]
    crio_pod: Option<String>,
    #[serde(rename = "io.kubernetes.pod.uid")]
    crio_uid: Option<String>,
    #[serde(rename = "io.kubernetes.container.name")]
    crio_container: Option<String>,
    #[serde(rename = "io.kubernetes.cri-o.ContainerType")]
    crio_kind: Option<String>,
    #[serde(rename = "io.kubernetes.cri-o.ImageName")]
    crio_image: Option<String>,
    #[serde(rename = "io.kubernetes.cri-o.SandboxID")]
    crio_sandbox_id: Option<String>,
}

pub fn parse(json: &[u8], keys: Keys) -> Result<Spec, Unusable> {
    let File { annotations, linux: Linux { cgroups_path: cgroup } } =
        serde_json::from_slice(json).map_err(|error| {
            // The library's own words quote the file.
            Unusable(match error.classify() {
                Category::Eof => "it ends too early",
                Category::Syntax => "it is no JSON",
                Category::Data | Category::Io => "it is no configuration of a container",
            })
        })?;
    let Annotations { namespace, pod, uid, container, kind, image, sandbox_image, sandbox_id, .. } =
        match keys {
            Keys::Containerd => annotations,
            Keys::Crio => annotations.of_crio(),
        };
    let sandbox = kind.as_deref() == Some("sandbox");
    Ok(Spec {
        namespace: short(namespace),
        pod: short(pod),
        uid: short(uid),
        container: short(container).filter(|_| !sandbox),
        image: short(image.or(sandbox_image.filter(|_| sandbox))),
        sandbox_id: short(sandbox_id),
        cgroup,
    })
}

impl Annotations {
    fn of_crio(self) -> Self {
        Self {
            namespace: self.crio_namespace,
            pod: self.crio_pod,
            uid: self.crio_uid,
            container: self.crio_container,
            kind: self.crio_kind,
            image: self.crio_image,
            sandbox_image: None,
            sandbox_id: self.crio_sandbox_id,
            ..Self::default()
        }
    }
}

fn short(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.is_empty() && value.len() <= VALUE_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn containerd() -> serde_json::Value {
        json!({
            "ociVersion": "1.1.0",
            "process": {"env": ["PASSWORD=hunter2"], "args": ["etcd"]},
            "annotations": {
                "io.kubernetes.cri.container-name": "etcd",
                "io.kubernetes.cri.container-type": "container",
                "io.kubernetes.cri.image-name": "registry.k8s.io/etcd:3.5.15-0",
                "io.kubernetes.cri.sandbox-id": "abc",
                "io.kubernetes.cri.sandbox-name": "etcd-node1",
                "io.kubernetes.cri.sandbox-namespace": "kube-system",
                "io.kubernetes.cri.sandbox-uid": "09a70ae9c2d44f1e8b3a5c7d9e1f2a3b",
                "io.kubernetes.pod.name": "kube-apiserver-node1",
            },
            "linux": {"cgroupsPath": "kubepods-burstable-pod1.slice:cri-containerd:abc", "resources": {}},
        })
    }

    #[test]
    fn containerd_says_which_pod() {
        let spec = parse(containerd().to_string().as_bytes(), Keys::Containerd).unwrap();
        let expected = Spec {
            namespace: Some("kube-system".into()),
            pod: Some("etcd-node1".into()),
            uid: Some("09a70ae9c2d44f1e8b3a5c7d9e1f2a3b".into()),
            container: Some("etcd".into()),
            image: Some("registry.k8s.io/etcd:3.5.15-0".into()),
            sandbox_id: Some("abc".into()),
            cgroup: "kubepods-burstable-pod1.slice:cri-containerd:abc".into(),
        };
        assert_eq!(spec, expected);
    }

    #[test]
    fn crio_says_which_pod_and_a_pods_author_does_not() {
        let json = json!({
            "annotations": {
                "io.kubernetes.cri.sandbox-name": "forged",
                "io.kubernetes.cri.sandbox-namespace": "forged",
                "io.kubernetes.cri-o.KubeName": "forged",
                "io.kubernetes.cri-o.Namespace": "forged",
                "io.kubernetes.cri-o.ContainerType": "container",
                "io.kubernetes.cri-o.ImageName": "quay.io/etcd:1",
                "io.kubernetes.cri-o.SandboxID": "abc",
                "io.kubernetes.container.name": "etcd",
                "io.kubernetes.pod.name": "etcd-node1",
                "io.kubernetes.pod.namespace": "openshift-etcd",
                "io.kubernetes.pod.uid": "u",
            },
            "linux": {"cgroupsPath": "/kubepods/podu/crio-def"},
        });
        let spec = parse(json.to_string().as_bytes(), Keys::Crio).unwrap();
        let found = [&spec.namespace, &spec.pod, &spec.uid, &spec.container, &spec.image, &spec.sandbox_id];
        let expected = ["openshift-etcd", "etcd-node1", "u", "etcd", "quay.io/etcd:1", "abc"];
        assert_eq!(found.map(|value| value.as_deref()), expected.map(Some));
    }

    #[test]
    fn a_sandbox_is_no_container_of_its_pod() {
        let mut json = containerd();
        json["annotations"] = json!({
            "io.kubernetes.cri.container-type": "sandbox",
            "io.kubernetes.cri.container-name": "x",
            "io.kubernetes.cri.podsandbox.image-name": "registry.k8s.io/pause:3.9",
        });
        let spec = parse(json.to_string().as_bytes(), Keys::Containerd).unwrap();
        assert_eq!((spec.container, spec.image.as_deref()), (None, Some("registry.k8s.io/pause:3.9")));
    }

    #[test]
    fn nothing_of_a_file_is_in_an_error() {
        let text = containerd().to_string();
        for json in [
            "",
            "{",
            "7",
            "hunter2",
            &text[..text.len() / 2],
            r#"{"annotations": {"io.kubernetes.cri.sandbox-name": ["hunter2"]}}"#,
            r#"{"annotations": "hunter2"}"#,
            r#"{"linux": {"cgroupsPath": {"hunter2": 1}}}"#,
            &"[".repeat(100_000),
        ] {
            let error = parse(json.as_bytes(), Keys::Containerd).unwrap_err().to_string();
            assert!(error.starts_with("it ") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_is_too_long_is_left_out() {
        let mut json = containerd();
        json["annotations"]["io.kubernetes.cri.sandbox-name"] = json!("x".repeat(VALUE_MAX + 1));
        let spec = parse(json.to_string().as_bytes(), Keys::Containerd).unwrap();
        assert_eq!((spec.pod, spec.container.as_deref()), (None, Some("etcd")));
    }

    proptest! {
        #[test]
        fn a_damaged_file_does_no_harm(at in 0usize..2000, with in proptest::collection::vec(any::<u8>(), 0..4)) {
            let mut text = containerd().to_string().into_bytes();
            let at = at % text.len();
            text.splice(at..=at, with);
            let _either = parse(&text, Keys::Containerd);
        }
    }
}
