//! Where runtimes keep the configuration of a container while it exists.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, OFlags};

use super::Runtime;
use super::spec::{Keys, Spec, parse};
use crate::node::Root;

/// A configuration has some ten kilobytes, and what people write into annotations.
const SIZE_MAX: u64 = 4 << 20;

/// containerd's clients use a few.
const NAMESPACES_MAX: usize = 32;

/// States of containerd, where it is not told otherwise: its own, k3s's, k0s's, MicroK8s's, Bottlerocket's, Docker's.
const CONTAINERD: [&str; 6] = [
    "/run/containerd",
    "/run/k3s/containerd",
    "/run/k0s/containerd",
    "/var/snap/microk8s/common/run/containerd",
    "/run/host-containerd",
    "/run/docker/containerd/daemon",
];

/// Of CRI-O and podman, and the same that outlives a boot.
const STORAGE: [&str; 2] =
    ["/run/containers/storage/overlay-containers", "/var/lib/containers/storage/overlay-containers"];

/// Directories to look into.
#[derive(Clone, Debug)]
pub struct Bundles {
    containerd: Vec<PathBuf>,
}

/// What was found at a container's place.
#[derive(Debug)]
pub struct Found {
    pub runtime: Runtime,
    pub spec: Result<Spec, String>,
}

impl Bundles {
    /// The sockets of runtimes lie in or beside their states.
    pub fn new(sockets: &[PathBuf]) -> Self {
        let mut containerd: Vec<_> = CONTAINERD.iter().map(PathBuf::from).collect();
        let beside = sockets.iter().filter_map(|socket| socket.parent());
        let beside: BTreeSet<_> = beside.flat_map(|dir| [dir.to_owned(), dir.join("containerd")]).collect();
        containerd
            .extend(beside.into_iter().filter(|dir| !CONTAINERD.iter().any(|known| Path::new(known) == dir)));
        Self { containerd }
    }

    /// The container of that id, which has to be a name that leads nowhere else.
    pub fn find(&self, root: &Root, id: &str) -> Option<Found> {
        for state in &self.containerd {
            let tasks = state.join("io.containerd.runtime.v2.task");
            for namespace in names(root, &tasks) {
                let runtime = if namespace == "moby" { Runtime::Docker } else { Runtime::Containerd };
                let path = tasks.join(&namespace).join(id).join("config.json");
                if let Some(spec) = read(root, &path, Keys::Containerd) {
                    return Some(Found { runtime, spec });
                }
            }
        }
        STORAGE.iter().find_map(|storage| {
            let path = Path::new(storage).join(id).join("userdata/config.json");
            let spec = read(root, &path, Keys::Crio)?;
            Some(Found { runtime: of_storage(&spec), spec })
        })
    }
}

/// Both keep their containers there, but only CRI-O's are of pods of the kubelet.
fn of_storage(spec: &Result<Spec, String>) -> Runtime {
    match spec {
        Ok(spec) if spec.sandbox_id.is_none() => Runtime::Podman,
        _ => Runtime::Crio,
    }
}

/// The namespaces that have containers.
fn names(root: &Root, dir: &Path) -> Vec<OsString> {
    let open = || -> io::Result<Vec<OsString>> {
        let fd = root.open(dir, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let names = Dir::new(fd)?.filter_map(|entry| Some(entry.ok()?.file_name().to_bytes().to_vec()));
        Ok(names
            .filter(|name| !name.starts_with(b"."))
            .take(NAMESPACES_MAX)
            .map(OsString::from_vec)
            .collect())
    };
    // Most nodes have one runtime.
    open().unwrap_or_default()
}

/// `None` where there is nothing.
fn read(root: &Root, path: &Path, keys: Keys) -> Option<Result<Spec, String>> {
    let text = match root.read(path, SIZE_MAX) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return None;
        }
        text => text,
    };
    let parsed = text
        .map_err(|error| error.to_string())
        .and_then(|text| parse(&text, keys).map_err(|why| why.to_string()));
    Some(parsed.map_err(|why| format!("the configuration of its container: {why}")))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    const STATE: &str = "run/containerd/io.containerd.runtime.v2.task/k8s.io/x";
    const JSON: &str =
        r#"{"annotations": {"io.kubernetes.cri.sandbox-name": "p"}, "linux": {"cgroupsPath": "/a"}}"#;

    fn node() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at_dir(dir.path()).unwrap();
        (dir, root)
    }

    fn found(root: &Root, id: &str) -> Option<(Runtime, Result<Option<String>, String>)> {
        let found = Bundles::new(&["/srv/own/containerd.sock".into()]).find(root, id)?;
        Some((found.runtime, found.spec.map(|spec| spec.pod)))
    }

    #[test]
    fn every_runtime_has_its_place() {
        let pod = || Ok(Some("p".to_owned()));
        let crio =
            r#"{"annotations": {"io.kubernetes.pod.name": "p", "io.kubernetes.cri-o.SandboxID": "s"}}"#;
        for (place, json, runtime, expected) in [
            ("run/containerd/io.containerd.runtime.v2.task/k8s.io/x", JSON, Runtime::Containerd, pod()),
            ("run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/x", JSON, Runtime::Containerd, pod()),
            ("srv/own/io.containerd.runtime.v2.task/other/x", JSON, Runtime::Containerd, pod()),
            ("srv/own/containerd/io.containerd.runtime.v2.task/other/x", JSON, Runtime::Containerd, pod()),
            ("run/containerd/io.containerd.runtime.v2.task/moby/x", "{}", Runtime::Docker, Ok(None)),
            ("run/containers/storage/overlay-containers/x/userdata", crio, Runtime::Crio, pod()),
            ("var/lib/containers/storage/overlay-containers/x/userdata", crio, Runtime::Crio, pod()),
            ("run/containers/storage/overlay-containers/x/userdata", "{}", Runtime::Podman, Ok(None)),
        ] {
            let (dir, root) = node();
            assert_eq!(found(&root, "x"), None);
            let place = dir.path().join(place);
            fs::create_dir_all(&place).unwrap();
            fs::write(place.join("config.json"), json).unwrap();
            assert_eq!(found(&root, "x"), Some((runtime, expected)), "{}", place.display());
        }
    }

    /// Within the node, links lead where they lead there; a configuration that is none itself is not followed anywhere.
    #[test]
    fn links_and_other_tricks_do_no_harm() {
        let (dir, root) = node();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("config.json"), JSON).unwrap();
        let bundle = dir.path().join(STATE);
        fs::create_dir_all(bundle.parent().unwrap()).unwrap();
        symlink(outside.path(), &bundle).unwrap();
        assert_eq!(found(&root, "x"), None);
        fs::remove_file(&bundle).unwrap();
        fs::create_dir(&bundle).unwrap();

        let config = bundle.join("config.json");
        symlink(outside.path().join("config.json"), &config).unwrap();
        assert!(matches!(found(&root, "x"), Some((_, Err(_)))));
        fs::remove_file(&config).unwrap();

        fs::create_dir(&config).unwrap();
        assert!(matches!(found(&root, "x"), Some((_, Err(_)))));
        fs::remove_dir(&config).unwrap();

        rustix::fs::mknodat(rustix::fs::CWD, &config, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(matches!(found(&root, "x"), Some((_, Err(_)))));
        fs::remove_file(&config).unwrap();

        fs::write(&config, " ".repeat(usize::try_from(SIZE_MAX).unwrap() + 1)).unwrap();
        let (_, error) = found(&root, "x").unwrap();
        assert!(error.unwrap_err().contains("larger than"));
    }
}
