//! Pods of documents.

use super::parse::Node;
use crate::event::ManifestPod;

/// What a pod without a namespace gets from the kubelet.
const DEFAULT: &str = "default";

/// The pods of all documents, those of lists included.
pub(super) fn pods(documents: &[Node]) -> Vec<ManifestPod> {
    let mut found = Vec::new();
    documents.iter().for_each(|document| collect(document, &mut found));
    found
}

fn collect(document: &Node, found: &mut Vec<ManifestPod>) {
    each(document, &mut |node| found.push(pod(node)));
}

/// Every pod of a document.
pub(super) fn each<'a>(document: &'a Node, tell: &mut dyn FnMut(&'a Node)) {
    if let Some(items) = document.at(&["items"]) {
        return items.list().iter().for_each(|item| each(item, tell));
    }
    let kind = document.at(&["kind"]).and_then(Node::text);
    let has_containers = document.at(&["spec", "containers"]).is_some();
    if kind == Some("Pod") || kind.is_none() && has_containers {
        tell(document);
    }
}

fn pod(document: &Node) -> ManifestPod {
    let text = |keys: &[&str]| {
        document.at(keys).and_then(Node::text).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let is_true = |keys: &[&str]| document.at(keys).is_some_and(Node::is_true);
    let containers = || {
        let kinds = ["initContainers", "containers", "ephemeralContainers"];
        kinds.into_iter().filter_map(|kind| document.at(&["spec", kind])).flat_map(Node::list)
    };
    let volumes = document.at(&["spec", "volumes"]).map(Node::list).unwrap_or_default();
    let texts = |node: Option<&Node>| node.and_then(Node::text).map(str::to_owned);
    let namespace = text(&["metadata", "namespace"]).unwrap_or_else(|| DEFAULT.to_owned());
    ManifestPod {
        name: text(&["metadata", "name"]),
        namespace_valid: is_label(&namespace),
        namespace,
        host_pid: is_true(&["spec", "hostPID"]),
        host_network: is_true(&["spec", "hostNetwork"]),
        privileged: containers()
            .any(|container| container.at(&["securityContext", "privileged"]).is_some_and(Node::is_true)),
        host_paths: volumes.iter().filter_map(|volume| texts(volume.at(&["hostPath", "path"]))).collect(),
        images: containers().filter_map(|container| texts(container.at(&["image"]))).collect(),
    }
}

/// A label of RFC 1123, as the names of namespaces are.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names>
fn is_label(name: &str) -> bool {
    const LENGTH_MAX: usize = 63;
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let outside = |byte: Option<&u8>| byte.is_some_and(|byte| *byte != b'-');
    let bytes = name.as_bytes();
    bytes.len() <= LENGTH_MAX
        && bytes.iter().all(|byte| inside(*byte))
        && outside(bytes.first())
        && outside(bytes.last())
}

#[cfg(test)]
mod tests {
    use super::is_label;

    #[test]
    fn a_namespace_has_a_label_for_a_name() {
        for name in ["a", "kube-system", "0", "9-a", &"x".repeat(63)] {
            assert!(is_label(name), "{name}");
        }
        for name in ["", "-a", "a-", "Kube-system", "kube_system", "a.b", "kube system", "ä", &"x".repeat(64)]
        {
            assert!(!is_label(name), "{name}");
        }
    }
}
