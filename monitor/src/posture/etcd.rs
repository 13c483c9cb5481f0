//! etcd's settings: of its configuration file alone if there is one, else flags over the environment; of the process, or of the manifest
//! that the kubelet runs, or of the file that k3s and RKE2 write for theirs.
//! <https://etcd.io/docs/v3.6/op-guide/configuration/>

use std::path::{Path, PathBuf};

use super::View;
use super::settings::{Place, Setting, Settings};
use crate::event::Origin;
use crate::running::document::Document;
use crate::running::flags::{Flags, variable};
use crate::running::program::Program;

/// The flag, its key in a file, and whether it is a switch.
const KEYS: [(&str, &str, bool); 12] = [
    ("cert-file", "client-transport-security.cert-file", false),
    ("key-file", "client-transport-security.key-file", false),
    ("client-cert-auth", "client-transport-security.client-cert-auth", true),
    ("trusted-ca-file", "client-transport-security.trusted-ca-file", false),
    ("auto-tls", "client-transport-security.auto-tls", true),
    ("peer-cert-file", "peer-transport-security.cert-file", false),
    ("peer-key-file", "peer-transport-security.key-file", false),
    ("peer-client-cert-auth", "peer-transport-security.client-cert-auth", true),
    ("peer-trusted-ca-file", "peer-transport-security.trusted-ca-file", false),
    ("peer-auto-tls", "peer-transport-security.auto-tls", true),
    ("listen-client-urls", "listen-client-urls", false),
    ("listen-peer-urls", "listen-peer-urls", false),
];

/// What is usual where nobody says anything else.
const USUAL: [(&str, &str); 2] =
    [("listen-client-urls", "http://localhost:2379"), ("listen-peer-urls", "http://localhost:2380")];

/// Where k3s and RKE2 write it, beneath their directories.
const EMBEDDED: &str = "server/db/etcd/config";

/// Every etcd of the node.
pub(super) fn etcds<'a>(view: &View<'a>) -> Vec<Settings<'a>> {
    let mut found = Vec::new();
    for process in view.processes {
        let name = format!("{}[{}]", process.program.name(), process.pid);
        let mut settings = Settings::new(name, Place::Process(process));
        match process.program {
            Program::Etcd => of_flags(&mut settings, &process.flags, &process.environ, None),
            Program::K3s => {
                let Some(own) = super::kubelet::own(&mut settings) else { continue };
                let file = own.dir.join(EMBEDDED);
                // Without it, the datastore is another.
                if settings.place.read(&file).is_err_and(|error| super::place::is_absent(&error)) {
                    continue;
                }
                of_file(&mut settings, &file);
            }
            _ => continue,
        }
        found.push(settings);
    }
    if found.is_empty() {
        found.extend(of_manifest(view).or_else(|| on_disk(view)));
    }
    found
}

fn of_manifest<'a>(view: &View<'a>) -> Option<Settings<'a>> {
    let (file, command) = view.manifests.command("etcd")?;
    let mut settings = Settings::new("etcd".to_owned(), Place::Node(view.root));
    of_flags(&mut settings, &Flags::of_args(&command.args), &command.environ, Some(&file.path));
    Some(settings)
}

fn on_disk<'a>(view: &View<'a>) -> Option<Settings<'a>> {
    let profile = view.profile.filter(|profile| ["k3s", "rke2"].contains(profile))?;
    let file = Path::new("/var/lib/rancher").join(profile).join(EMBEDDED);
    if view.is_there(&file) == Ok(false) {
        return None;
    }
    let mut settings = Settings::new("etcd".to_owned(), Place::Node(view.root));
    of_file(&mut settings, &file);
    Some(settings)
}

fn of_flags(settings: &mut Settings<'_>, flags: &Flags, environ: &[u8], manifest: Option<&PathBuf>) {
    let given = |name: &str, is_switch: bool| {
        let names = [name];
        let value = if is_switch { flags.switch(&names) } else { flags.last(&names) };
        let of_flag = value.map(|value| Setting::flag(name, value));
        let of_environ = || {
            let name = format!("ETCD_{}", name.replace('-', "_").to_uppercase());
            let value = variable(environ, &name)?.to_owned();
            Some(Setting { value, origin: Origin::Environment, file: None, key: name })
        };
        of_flag.or_else(of_environ).map(|setting| Setting { file: manifest.cloned(), ..setting })
    };
    if let Some(file) = given("config-file", false).filter(|setting| !setting.value.is_empty()) {
        return of_file(settings, &settings.place.whole(&file.value));
    }
    usual(settings);
    for (name, _, is_switch) in KEYS {
        if let Some(setting) = given(name, is_switch) {
            settings.set(name, setting);
        }
    }
}

/// Which makes flags and environment void.
fn of_file(settings: &mut Settings<'_>, file: &Path) {
    usual(settings);
    let Some(document) = settings.read(file, Document::yaml) else { return };
    for (name, key, _) in KEYS {
        if let Some(value) = document.text(key) {
            let (value, file, key) = (value.to_owned(), Some(file.to_owned()), key.to_owned());
            settings.set(name, Setting { value, origin: Origin::File, file, key });
        }
    }
}

fn usual(settings: &mut Settings<'_>) {
    USUAL.into_iter().for_each(|(key, value)| settings.set(key, Setting::usual(key, value)));
}
