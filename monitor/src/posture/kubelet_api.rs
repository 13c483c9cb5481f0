//! Checks of the kubelet's own port, and of where it has pods from besides the API server.

use super::View;
use super::checks;
use super::finding::{Finding, of_node};
use super::kubelet::{ANONYMOUS, CLIENT_CA, MODE, PATH, READ_ONLY_PORT, URL, WEBHOOK};
use super::settings::{Setting, Settings, boolean};
use crate::event::PostureResult::{Fail, Pass, Warn};
use crate::running::found::{address, is_loopback};
use crate::running::program::Program;

/// The kubelet's usual port for who has no name.
const USUAL_PORT: u16 = 10255;

/// Distributions whose kubelet has its pods from a server of their own on the node.
const SERVED: [&str; 2] = ["k0s", "talos"];

/// Looks at one kubelet. An error says why something is not known.
type Look = fn(&View<'_>, &Settings<'_>, &mut Finding) -> Result<(), String>;

pub(super) fn check(view: &View<'_>, kubelets: &[Settings<'_>]) -> Vec<Finding> {
    let checks: [(&'static checks::Check, Look); 6] = [
        (&checks::ANONYMOUS, anonymous),
        (&checks::AUTHORIZATION, authorization),
        (&checks::AUTHENTICATION, authentication),
        (&checks::READ_ONLY_PORT, read_only_port),
        (&checks::STATIC_POD_PATH, path),
        (&checks::STATIC_POD_URL, url),
    ];
    let of_each = checks.into_iter().map(|(check, look)| {
        let mut finding = Finding::new(check);
        for settings in kubelets {
            if let Err(why) = look(view, settings, &mut finding) {
                finding.unknown(format!("{}: {why}", settings.name));
            }
        }
        if kubelets.is_empty() {
            view.without(&mut finding, Program::Kubelet);
        }
        finding
    });
    of_each.collect()
}

/// A switch with what it is; one that nobody could read is not known.
fn switch<'a>(settings: &'a Settings<'_>, key: &str) -> Result<(bool, Option<&'a Setting>), String> {
    let setting = settings.get(key)?;
    let value = setting.map_or(Some(false), |setting| boolean(&setting.value));
    let value = value.ok_or_else(|| format!("{key} is neither true nor false"))?;
    Ok((value, setting))
}

fn anonymous(_: &View<'_>, settings: &Settings<'_>, finding: &mut Finding) -> Result<(), String> {
    let (is_on, setting) = switch(settings, ANONYMOUS)?;
    let (result, why) = if is_on {
        (Fail, "callers without a name are taken for system:anonymous")
    } else {
        (Pass, "callers without a name are refused")
    };
    finding.setting(result, why, settings, ANONYMOUS, setting);
    Ok(())
}

fn authorization(_: &View<'_>, settings: &Settings<'_>, finding: &mut Finding) -> Result<(), String> {
    let setting = settings.get(MODE)?;
    let (result, why) = match setting.map(|setting| setting.value.as_str()) {
        Some("Webhook") => (Pass, "the API server says who may do what"),
        Some("AlwaysAllow") => (Fail, "whoever is let in may do everything, in every pod of the node"),
        _ => return Err(format!("{MODE} is no mode that is known")),
    };
    finding.setting(result, why, settings, MODE, setting);
    Ok(())
}

fn authentication(_: &View<'_>, settings: &Settings<'_>, finding: &mut Finding) -> Result<(), String> {
    let (webhook, of_webhook) = switch(settings, WEBHOOK)?;
    let authority = settings.text(CLIENT_CA)?;
    let (result, why) = match (webhook, authority.is_some()) {
        (true, true) => (Pass, "callers are known by certificate or token"),
        (false, true) => (Warn, "callers are known by certificate, and tokens are not asked about"),
        (true, false) => {
            (Warn, "callers are known by token alone: no authority for their certificates is named")
        }
        (false, false) => (Fail, "callers are known neither by certificate nor by token"),
    };
    finding.setting(result, why, settings, WEBHOOK, of_webhook);
    finding.setting(result, why, settings, CLIENT_CA, authority);
    Ok(())
}

fn read_only_port(view: &View<'_>, settings: &Settings<'_>, finding: &mut Finding) -> Result<(), String> {
    let setting = settings.get(READ_ONLY_PORT)?;
    let port = setting.map_or(Ok(0), |setting| setting.value.parse::<u16>());
    let port = port.map_err(|_| format!("{READ_ONLY_PORT} is no port"))?;
    let (result, why) = if port == 0 {
        (Pass, "the port is closed".to_owned())
    } else {
        (Fail, format!("whoever reaches port {port} reads what runs here, without a name"))
    };
    finding.setting(result, why, settings, READ_ONLY_PORT, setting);
    // What is set and what is there are two things.
    match view.listening {
        Err(why) => finding.unknown(why.clone()),
        Ok(listening) => {
            for listener in listening.iter().filter(|listener| listener.port == USUAL_PORT && port == 0) {
                let why =
                    format!("something listens on port {USUAL_PORT}, which the kubelet should not open");
                let at = of_node(listener.table.as_ref(), "listen", listener.to_string());
                finding.add(Warn, why, at);
            }
        }
    }
    Ok(())
}

fn path(view: &View<'_>, settings: &Settings<'_>, finding: &mut Finding) -> Result<(), String> {
    let Some(setting) = settings.text(PATH)? else {
        finding.setting(Pass, "the kubelet reads no manifests", settings, PATH, None);
        return Ok(());
    };
    let (result, why) = match view.control_plane.as_ref().map_err(Clone::clone)? {
        true => (Pass, "the control plane of this node runs as static pods"),
        false => (
            Warn,
            "whoever writes to the directory runs pods, and the control plane does not run here as static pods",
        ),
    };
    finding.setting(result, why, settings, PATH, Some(setting));
    Ok(())
}

fn url(view: &View<'_>, settings: &Settings<'_>, finding: &mut Finding) -> Result<(), String> {
    let Some(setting) = settings.text(URL)? else {
        finding.setting(Pass, "the kubelet asks no server for pods", settings, URL, None);
        return Ok(());
    };
    let here = address(&setting.value).is_some_and(|(host, _)| is_loopback(host));
    let (result, why) = match (here, view.profile.is_some_and(|profile| SERVED.contains(&profile))) {
        (true, true) => (Pass, "the distribution's own server on this node gives it static pods"),
        (true, false) => (Warn, "whoever listens on that port of the node runs pods here"),
        (false, _) if setting.value.starts_with("https:") => (Fail, "another machine runs pods here"),
        (false, _) => (Fail, "another machine, or whoever is on the way to it, runs pods here"),
    };
    // Names and passwords are none of the evidence.
    let place = address(&setting.value).map_or_else(String::new, |(host, port)| format!("{host}:{port}"));
    let shown = Setting { value: place, ..setting.clone() };
    finding.setting(result, why, settings, URL, Some(&shown));
    Ok(())
}
