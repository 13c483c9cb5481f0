//! The kubelet: flags over drop-ins over its configuration file.
//! <https://kubernetes.io/docs/reference/command-line-tools-reference/kubelet/>

use std::path::{Path, PathBuf};

use super::document::Document;
use super::flags::Flags;
use super::found::{Findings, address, is_loopback, shown};
use super::process::{NAMES_MAX, Process};
use crate::model::Class;

/// Drop-ins in directories inside each other, and of them all.
const DEPTH_MAX: usize = 4;
const DROP_INS_MAX: usize = 64;

pub fn read(process: &Process, findings: &mut Findings<'_>) {
    of_flags(process, &process.flags, findings);
}

/// The kubelet's flags, wherever they are from.
pub fn of_flags(process: &Process, flags: &Flags, findings: &mut Findings<'_>) {
    let config = flags.last(&["config"]).map(|path| process.whole(path));
    let drop_ins = flags.last(&["config-dir"]).map(|path| process.whole(path));
    let mut settings = Settings::default();
    if let Some(path) = &config {
        findings.path(Class::KubeletConfig, path, "--config");
        settings.read(path, findings);
    }
    if let Some(dir) = &drop_ins {
        findings.path(Class::KubeletConfig, dir, "--config-dir");
        let (files, missing) = drop_ins_of(&|dir| process.try_list(dir), dir);
        files.iter().for_each(|file| settings.read(file, findings));
        missing.iter().for_each(|what| findings.note(what));
    }
    settings.flags(flags);
    // Paths in the file are below the file's directory.
    let beside = config.as_deref().and_then(Path::parent).unwrap_or(Path::new("/")).to_owned();
    settings.tell(process, &beside, findings);
    for flag in ["kubeconfig", "bootstrap-kubeconfig", "cert-dir"] {
        if let Some(path) = flags.last(&[flag]).filter(|path| !path.is_empty()) {
            findings.path(Class::Credential, &process.whole(path), &format!("--{flag}"));
        }
    }
}

/// Files that end in `.conf`, in the order in which the kubelet reads them, and what could not be looked at.
pub(crate) fn drop_ins_of(
    list: &dyn Fn(&Path) -> std::io::Result<Vec<PathBuf>>,
    dir: &Path,
) -> (Vec<PathBuf>, Vec<String>) {
    let (mut files, mut missing) = (Vec::new(), Vec::new());
    walk(list, dir, DEPTH_MAX, &mut files, &mut missing);
    if files.len() >= DROP_INS_MAX {
        missing.push(format!("{} has more files than are read", shown(dir)));
    }
    (files, missing)
}

fn walk(
    list: &dyn Fn(&Path) -> std::io::Result<Vec<PathBuf>>,
    dir: &Path,
    depth: usize,
    files: &mut Vec<PathBuf>,
    missing: &mut Vec<String>,
) {
    let names = match list(dir) {
        Ok(names) => names,
        // It was no directory, or is none any more.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => return,
        Err(error) => return missing.push(format!("{} cannot be listed: {error}", shown(dir))),
    };
    if names.len() >= NAMES_MAX {
        missing.push(format!("{} has more names in it than are looked at", shown(dir)));
    }
    for path in names {
        if files.len() >= DROP_INS_MAX {
            return;
        }
        if path.extension().is_some_and(|end| end == "conf") {
            files.push(path);
        } else if depth > 1 {
            walk(list, &path, depth - 1, files, missing);
        } else {
            missing.push(format!("{} is deeper than is looked", shown(&path)));
        }
    }
}

/// Keys of the file, and the flags that go over them.
const KEYS: [(&str, &[&str]); 7] = [
    ("staticPodPath", &["pod-manifest-path"]),
    ("staticPodURL", &["manifest-url"]),
    ("containerRuntimeEndpoint", &["container-runtime-endpoint"]),
    ("imageServiceEndpoint", &["image-service-endpoint"]),
    ("tlsPrivateKeyFile", &["tls-private-key-file"]),
    ("port", &["port"]),
    ("readOnlyPort", &["read-only-port"]),
];

/// What is in force, with where it is from.
#[derive(Default)]
struct Settings(Vec<Setting>);

struct Setting {
    key: &'static str,
    value: String,
    from: String,
    of_flag: bool,
}

impl Settings {
    fn set(&mut self, key: &'static str, value: &str, from: String, of_flag: bool) {
        self.0.retain(|setting| setting.key != key);
        self.0.push(Setting { key, value: value.to_owned(), from, of_flag });
    }

    fn read(&mut self, path: &Path, findings: &mut Findings<'_>) {
        let Some(document) = findings.read(path, Document::yaml) else { return };
        for (key, _) in KEYS {
            if let Some(value) = document.text(key) {
                self.set(key, value, Findings::key(key, path), false);
            }
        }
    }

    fn flags(&mut self, flags: &Flags) {
        for (key, names) in KEYS {
            if let (Some(value), Some(name)) = (flags.last(names), names.first()) {
                self.set(key, value, format!("--{name}"), true);
            }
        }
    }

    fn tell(&self, process: &Process, beside: &Path, findings: &mut Findings<'_>) {
        for Setting { key, value, from, of_flag } in self.0.iter().filter(|setting| !setting.value.is_empty())
        {
            let path = || if *of_flag { process.whole(value) } else { beside.join(value) };
            match *key {
                "staticPodPath" => findings.path(Class::StaticPodManifest, &path(), from),
                "tlsPrivateKeyFile" => findings.path(Class::Credential, &path(), from),
                "staticPodURL" => served(value, from, findings),
                "port" | "readOnlyPort" => match value.parse() {
                    Ok(port) => findings.port(Class::KubeletApi, port, from),
                    Err(_) => findings.note(&format!("{from} is no port")),
                },
                _ => findings.socket(Class::RuntimeApi, value, from),
            }
        }
    }
}

/// Who can write to the server of manifests can run pods. It is a door of this node if it is on it.
fn served(url: &str, from: &str, findings: &mut Findings<'_>) {
    match address(url) {
        Some((host, port)) if is_loopback(host) => findings.port(Class::StaticPodManifest, port, from),
        Some(_) => {
            findings.note(&format!("{from}: static pods come from another machine, which is not watched"));
        }
        None => findings.note(&format!("{from} is no URL of a server")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::program::Program;
    use super::super::testing::Node;

    fn says(node: &Node, cmdline: &str) -> (Vec<String>, Vec<String>) {
        node.says(Program::Kubelet, cmdline, b"")
    }

    #[test]
    fn flags_go_over_drop_ins_over_the_file() {
        let node = Node::new(&[
            (
                "/k/config.yaml",
                "staticPodPath: /file/pods\ncontainerRuntimeEndpoint: unix:///run/file.sock\nport: 10260\n",
            ),
            ("/k/d/20-b.conf", "staticPodPath: /late/pods\n"),
            ("/k/d/10-a.conf", "staticPodPath: /early/pods\nreadOnlyPort: 10265\n"),
            ("/k/d/30-not.yaml", "staticPodPath: /not/pods\n"),
        ]);
        let (found, notes) = says(&node, "kubelet --config=/k/config.yaml");
        assert_eq!(
            found,
            [
                "kubelet_config /k/config.yaml < kubelet[7], --config",
                "static_pod_manifest /file/pods < kubelet[7], staticPodPath in /k/config.yaml",
                "runtime_api /run/file.sock < kubelet[7], containerRuntimeEndpoint in /k/config.yaml",
                "kubelet_api tcp/10260 < kubelet[7], port in /k/config.yaml",
            ]
        );
        assert_eq!(notes, [""; 0]);
        let (found, _) = says(&node, "kubelet --config=/k/config.yaml --config-dir /k/d");
        let has = |found: &[String], line: &str| found.iter().any(|known| known == line);
        assert!(
            has(&found, "static_pod_manifest /late/pods < kubelet[7], staticPodPath in /k/d/20-b.conf"),
            "{found:?}"
        );
        assert!(
            has(&found, "kubelet_api tcp/10265 < kubelet[7], readOnlyPort in /k/d/10-a.conf"),
            "{found:?}"
        );
        assert!(has(&found, "kubelet_config /k/d < kubelet[7], --config-dir"), "{found:?}");
        let (found, _) =
            says(&node, "kubelet --config=/k/config.yaml --config-dir /k/d --pod-manifest-path=/flag/pods");
        assert!(has(&found, "static_pod_manifest /flag/pods < kubelet[7], --pod-manifest-path"), "{found:?}");
        assert_eq!(found.iter().filter(|line| line.starts_with("static_pod")).count(), 1);
    }

    #[test]
    fn a_server_on_the_node_is_a_port_and_another_machine_is_told() {
        let node =
            Node::new(&[("/k/c", "staticPodURL: http://127.0.0.1:7445/pods\nstaticPodPath: pods.d\n")]);
        let (found, _) = says(&node, "kubelet --config /k/c --kubeconfig=/k/conf --cert-dir=/k/pki");
        assert!(found.iter().any(|line| line.starts_with("static_pod_manifest tcp/7445 <")), "{found:?}");
        assert!(found.iter().any(|line| line.starts_with("static_pod_manifest /k/pods.d <")), "{found:?}");
        assert!(found.iter().any(|line| line == "credential /k/pki < kubelet[7], --cert-dir"), "{found:?}");
        let (found, notes) = says(&node, "kubelet --manifest-url=http://user:secret@10.0.0.9/pods");
        assert_eq!((found.len(), notes.len()), (0, 1));
        assert!(!notes[0].contains("secret"), "{notes:?}");
    }

    #[test]
    fn what_cannot_be_read_or_watched_is_told() {
        let node = Node::new(&[("/k/bad", "staticPodPath: [secret"), ("/k/wide", "staticPodPath: /etc\n")]);
        std::os::unix::fs::symlink("/proc/self/root/etc/passwd", node.path().join("k/link")).unwrap();
        for (file, why) in [("bad", "it is no YAML"), ("wide", "too much of the node")] {
            let (_, notes) = says(&node, &format!("kubelet --config=/k/{file}"));
            assert!(notes.len() == 1 && notes[0].contains(why) && !notes[0].contains("secret"), "{notes:?}");
        }
        // A link stays inside the root of the process.
        let (found, notes) = says(&node, "kubelet --config=/k/link");
        assert_eq!((found.len(), notes.len()), (1, 0), "{notes:?}");
        let (_, notes) = says(&node, "kubelet --container-runtime-endpoint=tcp://10.0.0.1:1");
        assert_eq!(notes, ["kubelet[7]: --container-runtime-endpoint names no unix socket"]);
    }
}
