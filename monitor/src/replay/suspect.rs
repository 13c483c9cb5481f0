//! Does a recorded access look like an attack? Then a rule for it is written only by somebody who looked at it.

use super::Recorded;
use super::tools::{is_anyones, is_interpreter, name_of, unit};
use crate::access::Access;
use crate::identity::MISPLACED;
use crate::model::{Class, Group};

/// Start programs for somebody who logged in.
const LOGINS: [&str; 11] = [
    "dropbear",
    "in.telnetd",
    "login",
    "mosh-server",
    "screen",
    "sshd",
    "sshd-session",
    "telnetd",
    "tmux",
    "ttyd",
    "xterm",
];

/// Start programs at a time, in a session that looks like somebody's.
const TIMERS: [&str; 4] = ["anacron", "atd", "cron", "crond"];

/// Write the manifests of a node, and what its kubelet is told.
const INSTALLERS: [&str; 7] = ["k0s", "k3s", "kops", "kubeadm", "kubelet", "nodeup", "rke2"];

/// Bring the kubelet's unit with them.
const PACKAGERS: [&str; 4] = ["dpkg", "rpm", "rpm-ostree", "systemctl"];

/// Why, if it does. A rule could allow it all the same; what none can, `suggest` says.
pub fn suspect(recorded: &Recorded) -> Option<&'static str> {
    let access = recorded.access();
    let exe = String::from_utf8_lossy(&access.actor.exe.path);
    let in_container = recorded.process.container.is_some();
    if access.action == crate::model::Action::Accept {
        return None;
    }
    if !in_container && is_anyones(&exe) {
        return Some("its executable is in a directory that anyone can write to");
    }
    if runs_anyones_script(&access) {
        return Some("it runs a script of a directory that anyone can write to");
    }
    if is_somebody(&access) {
        return Some("somebody logged in and did it, and a rule would allow it whenever somebody does");
    }
    if recorded.enrichment_errors.iter().any(|error| error.starts_with(MISPLACED)) {
        return Some("its cgroup has the name of a container that is elsewhere");
    }
    if !in_container && !recorded.process.is_in_node_mounts() && unit(&access.actor).is_none() {
        return Some("it is in a mount namespace of its own and in no container or service that is known");
    }
    changes_what_runs(recorded.target.class, &access)
        .then_some("whoever writes there decides what the kubelet runs, and it is no installer that is known")
}

fn runs_anyones_script(access: &Access) -> bool {
    let actor = &access.actor;
    let args = actor.args.as_deref().unwrap_or_default().iter().skip(1);
    let mut words = args.map(|arg| String::from_utf8_lossy(arg)).filter(|arg| !arg.starts_with('-'));
    is_interpreter(&actor.exe.path) && words.next().is_some_and(|first| is_anyones(&first))
}

/// Below a login, in its session, or a shell that waits for what is typed.
fn is_somebody(access: &Access) -> bool {
    let actor = &access.actor;
    let above =
        |names: &[&str]| actor.ancestors.iter().any(|one| names.contains(&name_of(&one.exe.path).as_str()));
    let in_session = actor.cgroup.starts_with(b"/user.slice/") && !above(&TIMERS);
    let shell = is_interpreter(&actor.exe.path) && name_of(&actor.exe.path).ends_with("sh");
    let args = actor.args.as_deref().unwrap_or_default();
    // A login shell is told by the dash before its name.
    let by_name = args.first().is_some_and(|name| name.starts_with(b"-"));
    let by_flag =
        args.get(1).is_some_and(|flag| flag.starts_with(b"-i") || flag == b"-l" || flag == b"--login");
    above(&LOGINS) || in_session || shell && (by_name || by_flag)
}

fn changes_what_runs(class: Class, access: &Access) -> bool {
    let name = name_of(&access.actor.exe.path);
    let known = |names: &[&str]| names.contains(&name.as_str());
    let writes = access.group() == Some(Group::Write);
    match class {
        Class::StaticPodManifest => writes && !known(&INSTALLERS),
        Class::KubeletConfig => writes && !known(&INSTALLERS) && !known(&PACKAGERS),
        Class::Credential
        | Class::DatastoreFile
        | Class::RuntimeApi
        | Class::DatastoreApi
        | Class::KubeletApi => false,
    }
}
