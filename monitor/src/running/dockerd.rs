//! Docker: its flags or its configuration file; both at once it refuses. <https://docs.docker.com/reference/cli/dockerd/>

use std::path::Path;

use super::document::Document;
use super::found::Findings;
use super::process::Process;
use crate::model::Class;

const CONFIG: &str = "/etc/docker/daemon.json";
const SOCKET: &str = "/run/docker.sock";

pub fn read(process: &Process, findings: &mut Findings<'_>) {
    let file = process.whole(config(process));
    let document = findings.read(&file, Document::yaml).unwrap_or_default();
    let (hosts, from) = hosts(process, &document);
    let from = if from { "--host".to_owned() } else { Findings::key("hosts", &file) };
    if hosts.is_empty() {
        findings.socket(Class::RuntimeApi, SOCKET, "its usual address");
    }
    for host in hosts {
        if host.starts_with("tcp:") {
            findings.note(&format!("{from} names the network, which is not watched"));
        } else if host.starts_with("fd:") {
            // systemd made the socket, usually there.
            findings.socket(Class::RuntimeApi, SOCKET, "its usual address");
        } else {
            findings.socket(Class::RuntimeApi, host, &from);
        }
    }
}

/// Its configuration file.
pub(crate) fn config(process: &Process) -> &str {
    process.flags.last(&["config-file"]).unwrap_or(CONFIG)
}

/// Where it listens, and whether flags say so.
pub(crate) fn hosts<'a>(process: &'a Process, document: &'a Document) -> (Vec<&'a str>, bool) {
    let of_flags: Vec<_> = process.flags.all(&["host", "H"]).collect();
    if !of_flags.is_empty() {
        return (of_flags, true);
    }
    (document.list("hosts").into_iter().flatten().map(String::as_str).collect(), false)
}

/// The file where it does not run.
pub(crate) fn usual_config() -> &'static Path {
    Path::new(CONFIG)
}

#[cfg(test)]
mod tests {
    use super::super::program::Program;
    use super::super::testing::Node;

    #[test]
    fn sockets_are_in_flags_or_the_file() {
        let node = Node::new(&[(
            "/etc/docker/daemon.json",
            r#"{"hosts": ["unix:///run/a/d.sock", "tcp://0.0.0.0:2375"]}"#,
        )]);
        let (found, notes) =
            node.says(Program::Dockerd, "dockerd --config-file=/none -H fd:// --containerd=/run/c.sock", b"");
        assert_eq!(
            (found, notes.len()),
            (vec!["runtime_api /run/docker.sock < dockerd[7], its usual address".to_owned()], 0)
        );
        let (found, _) =
            node.says(Program::Dockerd, "dockerd -H unix:///srv/d/d.sock --host=/srv/d/e.sock", b"");
        assert_eq!(
            found,
            [
                "runtime_api /srv/d/d.sock < dockerd[7], --host",
                "runtime_api /srv/d/e.sock < dockerd[7], --host"
            ]
        );
        let (found, notes) = node.says(Program::Dockerd, "dockerd", b"");
        assert_eq!(found, ["runtime_api /run/a/d.sock < dockerd[7], hosts in /etc/docker/daemon.json"]);
        assert_eq!(
            notes,
            ["dockerd[7]: hosts in /etc/docker/daemon.json names the network, which is not watched"]
        );
    }
}
