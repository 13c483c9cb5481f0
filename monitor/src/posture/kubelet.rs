//! The kubelet's settings in force, as the kubelet itself has them: its usual values, which are others with a configuration file than
//! without; the file; drop-ins, as JSON merge patches in the order of their names; flags over all.
//! <https://github.com/kubernetes/kubernetes/blob/v1.34.0/cmd/kubelet/app/server.go#L182>

use std::path::{Path, PathBuf};

use super::View;
use super::settings::{Place, Setting, Settings};
use crate::event::Origin;
use crate::running::document::Document;
use crate::running::flags::Flags;
use crate::running::found::shown;
use crate::running::kubelet::drop_ins_of;
use crate::running::program::Program;
use crate::running::single::{Own, part};

pub(super) const ANONYMOUS: &str = "authentication.anonymous.enabled";
pub(super) const WEBHOOK: &str = "authentication.webhook.enabled";
pub(super) const CLIENT_CA: &str = "authentication.x509.clientCAFile";
pub(super) const MODE: &str = "authorization.mode";
pub(super) const READ_ONLY_PORT: &str = "readOnlyPort";
pub(super) const PATH: &str = "staticPodPath";
pub(super) const URL: &str = "staticPodURL";

/// Key, value with a configuration file, value without, flag, and whether the flag is a switch.
const KEYS: [(&str, &str, &str, &str, bool); 7] = [
    (ANONYMOUS, "false", "true", "anonymous-auth", true),
    (WEBHOOK, "true", "false", "authentication-token-webhook", true),
    (CLIENT_CA, "", "", "client-ca-file", false),
    (MODE, "Webhook", "AlwaysAllow", "authorization-mode", false),
    (READ_ONLY_PORT, "0", "10255", "read-only-port", false),
    (PATH, "", "", "pod-manifest-path", false),
    (URL, "", "", "manifest-url", false),
];

/// Where distributions have the file, and the drop-ins if they have any.
const FILES: [(&[&str], &str, Option<&str>); 7] = [
    (&["kubeadm", "kind", "minikube"], "/var/lib/kubelet/config.yaml", None),
    (&["eks"], "/etc/kubernetes/kubelet/config.json", Some("/etc/kubernetes/kubelet/config.json.d")),
    (&["aks"], "/etc/default/kubeletconfig.json", None),
    (&["gke"], "/home/kubernetes/kubelet-config.yaml", None),
    (&["openshift"], "/etc/kubernetes/kubelet.conf", None),
    (&["bottlerocket"], "/etc/kubernetes/kubelet/config", None),
    (&["k0s"], "/run/k0s/kubelet/config.yaml", None),
];

/// Every kubelet of the node: those that run, or else the one that would by the node's files.
pub(super) fn kubelets<'a>(view: &View<'a>) -> Vec<Settings<'a>> {
    let running: Vec<_> = view
        .processes
        .iter()
        .filter_map(|process| {
            let name = format!("{}[{}]", process.program.name(), process.pid);
            let mut settings = Settings::new(name, Place::Process(process));
            match process.program {
                Program::Kubelet => of_flags(&mut settings, &process.flags),
                Program::Kubelite => {
                    of_file(&mut settings, process.flags.last(&["kubelet-args-file"]), &process.environ);
                }
                Program::K3s => {
                    let own = own(&mut settings)?;
                    k3s(&mut settings, &own.dir, &part(process, &own.document, "kubelet-arg"));
                }
                _ => return None,
            }
            Some(settings)
        })
        .collect();
    if running.is_empty() { on_disk(view).into_iter().collect() } else { running }
}

/// k3s' own configuration; what of it cannot be read is noted.
pub(super) fn own(settings: &mut Settings<'_>) -> Option<Own> {
    let Place::Process(process) = settings.place else { return None };
    Some(Own::read(process, &mut |file| match process.read(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        _ => settings.read(file, Document::yaml),
    }))
}

fn of_file(settings: &mut Settings<'_>, file: Option<&str>, environ: &[u8]) {
    let Some(file) = file.map(|file| settings.place.whole(file)) else {
        return settings.unreadable.push("it does not say which file has its flags".to_owned());
    };
    match settings.place.read(&file) {
        Ok(text) => of_flags(settings, &Flags::of_file(&text, environ)),
        Err(error) => settings.unreadable.push(format!("{} is not read: {error}", shown(&file))),
    }
}

/// By the flags that it has.
pub(super) fn of_flags(settings: &mut Settings<'_>, flags: &Flags) {
    let file = flags.last(&["config"]).filter(|path| !path.is_empty()).map(|path| settings.place.whole(path));
    for (key, with_file, without, ..) in KEYS {
        settings.set(key, Setting::usual(key, if file.is_some() { with_file } else { without }));
    }
    if let Some(file) = &file {
        layer(settings, file, Origin::File);
    }
    if let Some(dir) = flags.last(&["config-dir"]).filter(|path| !path.is_empty()) {
        drop_ins(settings, &settings.place.whole(dir));
    }
    flags_over(settings, flags);
}

/// As k3s starts its own kubelet. Newer versions write the same to a drop-in.
fn k3s(settings: &mut Settings<'_>, dir: &Path, flags: &Flags) {
    for (key, with_file, ..) in KEYS {
        settings.set(key, Setting::usual(key, with_file));
    }
    for (key, place) in [(CLIENT_CA, "agent/client-ca.crt"), (PATH, "agent/pod-manifests")] {
        settings.set(key, Setting::usual(key, &dir.join(place).to_string_lossy()));
    }
    let whole = |flag: &str| flags.last(&[flag]).map(|path| settings.place.whole(path));
    let (file, other) = (whole("config"), whole("config-dir"));
    if let Some(file) = file {
        layer(settings, &file, Origin::File);
    }
    drop_ins(settings, &other.unwrap_or_else(|| dir.join("agent/etc/kubelet.conf.d")));
    flags_over(settings, flags);
}

fn flags_over(settings: &mut Settings<'_>, flags: &Flags) {
    for (key, _, _, flag, is_switch) in KEYS {
        let names = [flag];
        let value = if is_switch { flags.switch(&names) } else { flags.last(&names) };
        if let Some(value) = value {
            settings.set(key, Setting::flag(flag, value));
        }
    }
}

fn drop_ins(settings: &mut Settings<'_>, dir: &Path) {
    let place = settings.place;
    let (files, missing) = drop_ins_of(&|dir| place.list(dir), dir);
    settings.unreadable.extend(missing);
    for file in files {
        layer(settings, &file, Origin::DropIn);
    }
}

/// A file over what was before.
fn layer(settings: &mut Settings<'_>, file: &Path, origin: Origin) {
    let Some(document) = settings.read(file, Document::yaml) else { return };
    for (key, with_file, ..) in KEYS {
        let stands = |value: &str| Setting {
            value: value.to_owned(),
            origin,
            file: Some(file.to_owned()),
            key: key.to_owned(),
        };
        match document.text(key) {
            // Of words and paths, an empty one is none: what is usual with a file takes its place.
            Some("") => settings.set(key, Setting::usual(key, with_file)),
            Some(value) => settings.set(key, stands(value)),
            None if document.is_void(key) => settings.set(key, Setting::usual(key, with_file)),
            None if document.list(key).is_some() => {
                settings.unreadable.push(format!("{key} in {} is a list", shown(file)));
            }
            None => {}
        }
    }
}

/// Where no kubelet runs, or none that could be seen.
fn on_disk<'a>(view: &View<'a>) -> Option<Settings<'a>> {
    let profile = view.profile?;
    let mut settings = Settings::new("kubelet".to_owned(), Place::Node(view.root));
    let is_there = |path: &Path| view.is_there(path) != Ok(false);
    match profile {
        "k3s" | "rke2" => {
            let dir = PathBuf::from(format!("/var/lib/rancher/{profile}"));
            is_there(&dir.join("agent")).then_some(())?;
            k3s(&mut settings, &dir, &Flags::default());
        }
        "microk8s" => {
            let file = "/var/snap/microk8s/current/args/kubelet";
            is_there(Path::new(file)).then_some(())?;
            of_file(&mut settings, Some(file), b"SNAP_DATA=/var/snap/microk8s/current\0");
        }
        _ => {
            let (_, file, dir) = FILES.into_iter().find(|(profiles, ..)| profiles.contains(&profile))?;
            is_there(Path::new(file)).then_some(())?;
            let dir = dir.map(|dir| format!("--config-dir={dir}"));
            let args: Vec<_> = [format!("--config={file}")].into_iter().chain(dir).collect();
            of_flags(&mut settings, &Flags::of_args(&args));
        }
    }
    settings.unsure = Some(format!("{}, and its flags go over its files", view.no_process("kubelet")));
    Some(settings)
}
