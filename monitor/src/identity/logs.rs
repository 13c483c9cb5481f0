//! The kubelet's directories of logs: `/var/log/pods/NAMESPACE_NAME_UID`.

use std::path::Path;

use rustix::fs::{Dir, OFlags};

use crate::node::Root;

const LOGS: &str = "/var/log/pods";

/// A kubelet runs some hundred pods, and keeps the logs of some that are gone.
const PODS_MAX: usize = 16 << 10;

/// Namespace and name of the pod with that uid.
pub fn pod(root: &Root, uid: &str) -> Option<(String, String)> {
    let dir = Dir::new(root.open(Path::new(LOGS), OFlags::RDONLY | OFlags::DIRECTORY).ok()?).ok()?;
    dir.take(PODS_MAX).filter_map(Result::ok).find_map(|entry| {
        let (namespace, name) = split(entry.file_name().to_str().ok()?, uid)?;
        Some((namespace.to_owned(), name.to_owned()))
    })
}

/// Names of Kubernetes have no underscore.
fn split<'a>(name: &'a str, uid: &str) -> Option<(&'a str, &'a str)> {
    let (namespace, name) = name.strip_suffix(uid)?.strip_suffix('_')?.split_once('_')?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains('_')).then_some((namespace, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_named_after_its_pod() {
        for (name, expected) in [
            ("kube-system_etcd-node1_u-1", Some(("kube-system", "etcd-node1"))),
            ("kube-system_etcd-node1_u-2", None),
            ("kube-system_etcd_node1_u-1", None),
            ("_etcd_u-1", None),
            ("etcd_u-1", None),
            ("u-1", None),
            ("a__u-1", None),
        ] {
            assert_eq!(split(name, "u-1"), expected, "{name}");
        }
    }

    #[test]
    fn the_directory_of_a_uid_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at_dir(dir.path()).unwrap();
        assert_eq!(pod(&root, "u"), None);
        std::fs::create_dir_all(dir.path().join("var/log/pods/default_web-0_u")).unwrap();
        assert_eq!(pod(&root, "u"), Some(("default".to_owned(), "web-0".to_owned())));
    }
}
