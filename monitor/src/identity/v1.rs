//! The cgroups of a process that still runs, in the hierarchies of version 1: the hooks tell of the unified one alone.

use std::io;

use crate::access::Actor;
use crate::snapshot::Process;

/// Their paths, each once; none if the number is another process's by now.
pub fn paths(actor: &Actor) -> io::Result<Vec<Vec<u8>>> {
    let process = Process::open(actor.pid)?;
    if !process.started_at(actor.start) {
        return Ok(Vec::new());
    }
    Ok(parse(&process.read("cgroup")?))
}

/// Lines of `4:memory:/kubepods/…`; a path can have colons.
fn parse(cgroups: &[u8]) -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    for line in cgroups.split(|byte| *byte == b'\n') {
        if let Some(path) = line.splitn(3, |byte| *byte == b':').nth(2)
            && !paths.iter().any(|known| known == path)
        {
            paths.push(path.to_vec());
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_is_listed_once() {
        let cgroups = b"9:name=systemd:/a\n8:pids:/a\n4:cpu,cpuacct:/s.slice:crio:x\nbroken\n0::/\n";
        assert_eq!(parse(cgroups), [&b"/a"[..], b"/s.slice:crio:x", b"/"]);
    }

    #[test]
    fn a_number_that_is_anothers_by_now_says_nothing() {
        let actor = |start| Actor { pid: std::process::id(), start, ..Actor::default() };
        assert_eq!(paths(&actor(1)).unwrap(), Vec::<Vec<u8>>::new());
        let start = Process::open(std::process::id()).unwrap().start().unwrap();
        assert!(!paths(&actor(start)).unwrap().is_empty());
        assert!(!paths(&actor(start + 9_999_999)).unwrap().is_empty());
    }
}
