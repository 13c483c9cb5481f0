//! Programs that do whatever their arguments say: a rule that names nothing but such an executable allows nearly everything.

use std::path::Path;

use crate::access::{Access, Actor, last_name};
use crate::config::Words;
use crate::decide::unit_of_node;

/// Run the code that they are given. Some have a version behind their names.
const INTERPRETERS: [&str; 23] = [
    "ash", "awk", "bash", "busybox", "csh", "dash", "env", "fish", "gawk", "java", "ksh", "lua", "mawk",
    "node", "perl", "php", "pwsh", "python", "ruby", "sh", "tclsh", "tcsh", "zsh",
];

/// Read, write or send what they are told to.
const TOOLS: [&str; 37] = [
    "base64", "cat", "chmod", "chown", "cp", "crictl", "ctr", "curl", "cut", "dd", "docker", "etcdctl",
    "find", "grep", "head", "install", "kubectl", "ln", "ls", "mount", "mv", "nc", "nerdctl", "openssl",
    "podman", "rm", "rsync", "scp", "sed", "socat", "ssh", "tail", "tar", "tee", "touch", "umount", "wget",
];

/// Services that start what others tell them to, in their own units.
const STARTERS: [&str; 10] =
    ["anacron", "atd", "containerd", "cron", "crond", "docker", "gitlab-runner", "ssh", "sshd", "teleport"];

/// Where every user can put files.
const WRITABLE: [&str; 3] = ["/tmp/", "/var/tmp/", "/dev/shm/"];

/// Whether a file is where every user can put one.
pub(super) fn is_anyones(path: &str) -> bool {
    WRITABLE.iter().any(|dir| path.starts_with(dir))
}

pub(super) fn name_of(path: &[u8]) -> String {
    String::from_utf8_lossy(last_name(path)).into_owned()
}

pub(super) fn is_interpreter(exe: &[u8]) -> bool {
    let name = name_of(exe);
    INTERPRETERS
        .contains(&name.trim_end_matches(|char: char| char.is_ascii_digit() || char == '.' || char == '-'))
}

/// The unit of the node, if it says what runs in it and has the same name next time.
pub(super) fn unit(actor: &Actor) -> Option<&str> {
    unit_of_node(&actor.cgroup).filter(|unit| !unit.ends_with(".scope") && !is_transient(unit))
}

/// The arguments that a rule has to name for the executable not to stand for anything; none for a program that has a task of its
/// own, or runs as the unit that it belongs to.
pub(super) fn args(access: &Access) -> Result<Vec<Words>, &'static str> {
    let actor = &access.actor;
    let name = name_of(&actor.exe.path);
    let any_task = is_interpreter(&actor.exe.path) || TOOLS.contains(&name.as_str());
    if !any_task || unit(actor).is_some_and(|unit| !starts_others(unit)) {
        return Ok(Vec::new());
    }
    let Some(args) = actor.args.as_ref().filter(|_| !actor.args_truncated) else {
        return Err("it does what its arguments say, and they are not known whole");
    };
    let args: Vec<_> = args.iter().skip(1).map(|arg| String::from_utf8_lossy(arg)).collect();
    // What stands for something in a rule stands for one character, as itself does.
    let line = args.join(" ").replace('*', "?");
    let words =
        Words::line(&line).map_err(|_| "it does whatever it is told, and has no argument that says what");
    Ok(vec![words?])
}

/// The script that an interpreter was started with, where no option can mean something else.
pub(super) fn script(access: &Access) -> Option<String> {
    let actor = &access.actor;
    let first = actor.args.as_ref()?.get(1)?;
    let script = std::str::from_utf8(first).ok()?;
    (is_interpreter(&actor.exe.path) && Path::new(script).is_absolute()).then(|| script.to_owned())
}

fn starts_others(unit: &str) -> bool {
    let name = unit.trim_end_matches(".service");
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    STARTERS.contains(&name) || name.ends_with("getty")
}

/// Made by `systemd-run`, which numbers them.
fn is_transient(unit: &str) -> bool {
    let Some(number) = unit.strip_prefix("run-").and_then(|name| name.strip_suffix(".service")) else {
        return false;
    };
    number.starts_with(['u', 'r', 'p']) && number.chars().any(|char| char.is_ascii_digit())
}
