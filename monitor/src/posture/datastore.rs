//! Checks of etcd: whom it lets in, by which authority, and where it listens.

use super::View;
use super::authority::{Authority, common};
use super::checks::{self, Check};
use super::finding::{Finding, of_node};
use super::settings::{Settings, boolean};
use crate::event::PostureResult::{self, Fail, Pass, Warn};
use crate::running::found::{address, is_loopback};
use crate::running::program::Program;

pub(super) fn check(view: &View<'_>, etcds: &[Settings<'_>]) -> Vec<Finding> {
    let both = |finding: &mut Finding, settings: &Settings<'_>, certificate, key, who| {
        pair(finding, settings, [certificate, key], who)
    };
    let mut findings = vec![
        each(view, etcds, &checks::ETCD_CERTIFICATE, |finding, settings| {
            both(finding, settings, "cert-file", "key-file", "clients")
        }),
        each(view, etcds, &checks::ETCD_CLIENTS, |finding, settings| {
            is_on(finding, settings, "client-cert-auth", "trusted-ca-file", "whoever reaches it is let in")
        }),
        each(view, etcds, &checks::ETCD_AUTO, |finding, settings| is_off(finding, settings, "auto-tls")),
    ];
    findings.extend([
        each(view, etcds, &checks::ETCD_PEER_CERTIFICATE, |finding, settings| {
            both(finding, settings, "peer-cert-file", "peer-key-file", "peers")
        }),
        each(view, etcds, &checks::ETCD_PEERS, |finding, settings| {
            is_on(
                finding,
                settings,
                "peer-client-cert-auth",
                "peer-trusted-ca-file",
                "whoever reaches it may be a member",
            )
        }),
        each(view, etcds, &checks::ETCD_PEER_AUTO, |finding, settings| {
            is_off(finding, settings, "peer-auto-tls")
        }),
        each(view, etcds, &checks::ETCD_CA, |finding, settings| separate(view, finding, settings)),
        each(view, etcds, &checks::ETCD_LISTENS, |finding, settings| listens(view, finding, settings)),
    ]);
    findings
}

fn each(
    view: &View<'_>,
    etcds: &[Settings<'_>],
    check: &'static Check,
    look: impl Fn(&mut Finding, &Settings<'_>) -> Result<(), String>,
) -> Finding {
    let mut finding = Finding::new(check);
    for settings in etcds {
        if let Err(why) = look(&mut finding, settings) {
            finding.unknown(format!("{}: {why}", settings.name));
        }
    }
    if etcds.is_empty() {
        view.without(&mut finding, Program::Etcd);
    }
    finding
}

/// A certificate and its key.
fn pair(finding: &mut Finding, settings: &Settings<'_>, keys: [&str; 2], who: &str) -> Result<(), String> {
    let found = [settings.text(keys[0])?, settings.text(keys[1])?];
    let (result, why) = if found.iter().all(Option::is_some) {
        (Pass, format!("it shows {who} a certificate"))
    } else {
        (Fail, format!("what it says to {who} is open to whoever is on the way"))
    };
    for (key, setting) in keys.into_iter().zip(found) {
        finding.setting(result, why.clone(), settings, key, setting);
    }
    Ok(())
}

fn switch(settings: &Settings<'_>, key: &str) -> Result<bool, String> {
    let value = settings.text(key)?.map_or(Some(false), |setting| boolean(&setting.value));
    value.ok_or_else(|| format!("{key} is neither true nor false"))
}

fn is_on(
    finding: &mut Finding,
    settings: &Settings<'_>,
    key: &str,
    authority: &str,
    without: &str,
) -> Result<(), String> {
    let (on, named) = (switch(settings, key)?, settings.text(authority)?);
    // An authority alone makes it ask as well.
    let (result, why) = match (on, named.is_some()) {
        (true, true) => (Pass, "it asks for a certificate of its authority"),
        (true, false) => {
            (Warn, "it asks for a certificate, and its authority is whichever the machine trusts")
        }
        (false, true) => (Warn, "it asks for a certificate only because an authority is named"),
        (false, false) => (Fail, without),
    };
    finding.setting(result, why, settings, key, settings.get(key)?);
    finding.setting(result, why, settings, authority, named);
    Ok(())
}

fn is_off(finding: &mut Finding, settings: &Settings<'_>, key: &str) -> Result<(), String> {
    let (result, why) = if switch(settings, key)? {
        (Fail, "it makes its own certificate, which proves nothing to anybody")
    } else {
        (Pass, "it makes no certificate of its own")
    };
    finding.setting(result, why, settings, key, settings.get(key)?);
    Ok(())
}

/// Any certificate of an authority that etcd trusts opens all of it, so one that signs for the cluster must not be among them.
fn separate(view: &View<'_>, finding: &mut Finding, settings: &Settings<'_>) -> Result<(), String> {
    let clusters = view.clusters.as_ref().map_err(Clone::clone)?;
    if clusters.is_empty() {
        return Err("the cluster's authority is not known here".to_owned());
    }
    let mut any = false;
    for key in ["trusted-ca-file", "peer-trusted-ca-file"] {
        let Some(setting) = settings.text(key)? else { continue };
        any = true;
        let own = Authority::read(settings.place, &settings.place.whole(&setting.value))?;
        let shared = clusters.iter().find(|cluster| common(&own, cluster));
        let (result, why) = match shared {
            Some(cluster) => (
                Fail,
                format!(
                    "whoever has a certificate of the cluster's authority ({}) has all of etcd",
                    cluster.shown()
                ),
            ),
            None => (Pass, "no key of its authority is one of the cluster's".to_owned()),
        };
        finding.setting(result, why, settings, key, Some(setting));
        for cluster in shared.map_or(clusters.as_slice(), std::slice::from_ref) {
            finding.show(result, of_node(&cluster.path, "cluster's authority", cluster.digests()));
        }
    }
    if any { Ok(()) } else { Err("it names no authority".to_owned()) }
}

fn listens(view: &View<'_>, finding: &mut Finding, settings: &Settings<'_>) -> Result<(), String> {
    let mut ports = Vec::new();
    for key in ["listen-client-urls", "listen-peer-urls"] {
        let Some(setting) = settings.text(key)? else { continue };
        let (mut worst, mut why) = (Pass, "it listens on addresses that were chosen, with TLS");
        for url in setting.value.split(',').map(str::trim) {
            let Some((host, port)) = address(url) else { continue };
            ports.push(port);
            let every = ["0.0.0.0", "::", ""].contains(&host);
            let (result, found) = match (is_loopback(host), url.starts_with("http:"), every) {
                (true, ..) => continue,
                (false, true, _) => (Fail, "it listens beyond the node without TLS"),
                (false, false, true) => (Warn, "it listens on every address of the node"),
                (false, false, false) => continue,
            };
            if result > worst {
                (worst, why) = (result, found);
            }
        }
        finding.setting(worst, why, settings, key, Some(setting));
    }
    let listening = view.listening.as_ref().map_err(Clone::clone)?;
    for listener in listening.iter().filter(|listener| ports.contains(&listener.port)) {
        let result: PostureResult = if listener.is_on_every_address() { Warn } else { Pass };
        if result == Warn {
            finding.say(Warn, "its port is open on every address of the node");
        }
        finding.show(result, of_node(listener.table.as_ref(), "listen", listener.to_string()));
    }
    Ok(())
}
