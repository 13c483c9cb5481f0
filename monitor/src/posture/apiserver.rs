//! Checks of the API server, as far as they are about doors: how it knows etcd and kubelets, and what a kubelet may change.
//! <https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/>

use std::path::{Path, PathBuf};

use super::View;
use super::checks::{self, Check};
use super::finding::Finding;
use super::settings::{Place, Setting, Settings};
use crate::event::PostureResult::{Fail, NotApplicable, Pass, Warn};
use crate::running::flags::Flags;
use crate::running::program::Program;
use crate::running::single::part;

const KEYS: [&str; 10] = [
    "etcd-servers",
    "etcd-cafile",
    "etcd-certfile",
    "etcd-keyfile",
    "client-ca-file",
    "kubelet-client-certificate",
    "kubelet-client-key",
    "kubelet-certificate-authority",
    "enable-admission-plugins",
    "disable-admission-plugins",
];

/// What k3s gives its own, beneath its directory. With an embedded etcd those of etcd come to it.
const K3S: [(&str, &str); 4] = [
    ("client-ca-file", "server/tls/client-ca.crt"),
    ("kubelet-client-certificate", "server/tls/client-kube-apiserver.crt"),
    ("kubelet-client-key", "server/tls/client-kube-apiserver.key"),
    ("kubelet-certificate-authority", "server/tls/server-ca.crt"),
];
const K3S_ETCD: [(&str, &str); 3] = [
    ("etcd-cafile", "server/tls/etcd/server-ca.crt"),
    ("etcd-certfile", "server/tls/etcd/client.crt"),
    ("etcd-keyfile", "server/tls/etcd/client.key"),
];

/// Every API server of the node.
pub(super) fn apiservers<'a>(view: &View<'a>) -> Vec<Settings<'a>> {
    let mut found = Vec::new();
    for process in view.processes {
        let name = format!("{}[{}]", process.program.name(), process.pid);
        let mut settings = Settings::new(name, Place::Process(process));
        match process.program {
            Program::Apiserver => of_flags(&mut settings, &process.flags, None),
            Program::Kubelite => {
                let Some(file) = process.flags.last(&["apiserver-args-file"]) else { continue };
                let file = process.whole(file);
                match process.read(&file) {
                    Ok(text) => {
                        of_flags(&mut settings, &Flags::of_file(&text, &process.environ), Some(&file));
                    }
                    Err(error) => {
                        settings.unreadable.push(format!("{} is not read: {error}", file.display()));
                    }
                }
            }
            Program::K3s => {
                let Some(own) = super::kubelet::own(&mut settings) else { continue };
                // An agent has none.
                if process
                    .try_list(&own.dir.join("server/tls"))
                    .is_err_and(|error| super::place::is_absent(&error))
                {
                    continue;
                }
                k3s(&mut settings, &own.dir);
                of_flags(&mut settings, &part(process, &own.document, "kube-apiserver-arg"), None);
            }
            _ => continue,
        }
        found.push(settings);
    }
    if found.is_empty()
        && let Some((file, command)) = view.manifests.command("kube-apiserver")
    {
        let mut settings = Settings::new("kube-apiserver".to_owned(), Place::Node(view.root));
        of_flags(&mut settings, &Flags::of_args(&command.args), Some(&file.path));
        found.push(settings);
    }
    found
}

fn of_flags(settings: &mut Settings<'_>, flags: &Flags, file: Option<&PathBuf>) {
    for key in KEYS {
        if let Some(value) = flags.last(&[key]) {
            settings.set(key, Setting { file: file.cloned(), ..Setting::flag(key, value) });
        }
    }
}

fn k3s(settings: &mut Settings<'_>, dir: &Path) {
    let is_etcd = !settings
        .place
        .read(&dir.join("server/db/etcd/config"))
        .is_err_and(|error| super::place::is_absent(&error));
    let of_etcd = K3S_ETCD.into_iter().filter(|_| is_etcd);
    for (key, place) in K3S.into_iter().chain(of_etcd) {
        settings.set(key, Setting::usual(key, &dir.join(place).to_string_lossy()));
    }
    let servers = if is_etcd {
        "https://127.0.0.1:2379".to_owned()
    } else {
        format!("unix://{}/server/kine.sock", dir.display())
    };
    settings.set("etcd-servers", Setting::usual("etcd-servers", &servers));
    settings.set("enable-admission-plugins", Setting::usual("enable-admission-plugins", "NodeRestriction"));
}

/// Looks at one API server. An error says why something is not known.
type Look = fn(&Settings<'_>, &mut Finding) -> Result<(), String>;

pub(super) fn check(view: &View<'_>, apiservers: &[Settings<'_>]) -> Vec<Finding> {
    let checks: [(&'static Check, Look); 4] = [
        (&checks::APISERVER_ETCD, etcd),
        (&checks::APISERVER_KUBELET_CLIENT, kubelet_client),
        (&checks::APISERVER_KUBELET_CA, kubelet_authority),
        (&checks::NODE_RESTRICTION, node_restriction),
    ];
    let of_each = checks.into_iter().map(|(check, look)| {
        let mut finding = Finding::new(check);
        for settings in apiservers {
            if let Err(why) = look(settings, &mut finding) {
                finding.unknown(format!("{}: {why}", settings.name));
            }
        }
        if apiservers.is_empty() {
            view.without(&mut finding, Program::Apiserver);
        }
        finding
    });
    of_each.collect()
}

fn etcd(settings: &Settings<'_>, finding: &mut Finding) -> Result<(), String> {
    let servers = settings.text("etcd-servers")?;
    let is_socket =
        servers.is_some_and(|setting| setting.value.split(',').all(|url| url.trim().starts_with("unix")));
    if is_socket {
        finding.setting(
            NotApplicable,
            "the datastore is a socket of the node",
            settings,
            "etcd-servers",
            servers,
        );
        return Ok(());
    }
    let plain =
        servers.is_some_and(|setting| setting.value.split(',').any(|url| url.trim().starts_with("http:")));
    if plain {
        finding.setting(Fail, "it speaks to etcd without TLS", settings, "etcd-servers", servers);
    }
    all(
        settings,
        finding,
        &["etcd-cafile", "etcd-certfile", "etcd-keyfile"],
        Fail,
        "it cannot tell etcd from another, or etcd it",
    )
}

fn kubelet_client(settings: &Settings<'_>, finding: &mut Finding) -> Result<(), String> {
    all(
        settings,
        finding,
        &["kubelet-client-certificate", "kubelet-client-key"],
        Warn,
        "kubelets know it by a token, or take it for nobody",
    )
}

fn kubelet_authority(settings: &Settings<'_>, finding: &mut Finding) -> Result<(), String> {
    all(
        settings,
        finding,
        &["kubelet-certificate-authority"],
        Warn,
        "it cannot tell a kubelet from whoever has its address",
    )
}

fn all(
    settings: &Settings<'_>,
    finding: &mut Finding,
    keys: &[&str],
    without: crate::event::PostureResult,
    why: &str,
) -> Result<(), String> {
    for key in keys {
        let setting = settings.text(key)?;
        let (result, why) = if setting.is_some() { (Pass, "it is set") } else { (without, why) };
        finding.setting(result, why, settings, key, setting);
    }
    Ok(())
}

fn node_restriction(settings: &Settings<'_>, finding: &mut Finding) -> Result<(), String> {
    const NAME: &str = "NodeRestriction";
    let has = |setting: Option<&Setting>| {
        setting.is_some_and(|setting| setting.value.split(',').any(|name| name.trim() == NAME))
    };
    let (enabled, disabled) =
        (settings.text("enable-admission-plugins")?, settings.text("disable-admission-plugins")?);
    let (result, why) = match (has(enabled), has(disabled)) {
        (true, false) => (Pass, "a kubelet's key changes only its own node and its pods"),
        _ => (Fail, "whoever has the key of one kubelet changes every node"),
    };
    finding.setting(result, why, settings, "enable-admission-plugins", enabled);
    if has(disabled) {
        finding.setting(result, why, settings, "disable-admission-plugins", disabled);
    }
    Ok(())
}
