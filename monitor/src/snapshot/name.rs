//! Names that the kernel side could not read, of processes that it knows by number: /proc has them for as long as they live.

use super::Wanted;
use super::process::Process;
use crate::access::{Actor, Executable};

/// Adds what /proc shows of the actor and its ancestors, and returns what could not be found out.
pub fn name(actor: &mut Actor, wanted: &Wanted) -> Vec<String> {
    for ancestor in &mut actor.ancestors {
        if let Some(process) = alive(ancestor.pid, ancestor.start)
            && let Ok(exe) = process.exe("exe", wanted)
        {
            keep(&mut ancestor.exe, exe);
        }
    }
    let described = alive(actor.pid, actor.start).and_then(|process| process.describe(actor.pid, wanted));
    let Some((found, mut errors)) = described else {
        return vec!["the process ended before its names could be read from /proc".to_owned()];
    };
    let Actor { exe, args, args_truncated, cwd, cgroup, pid_ns, .. } = found;
    if keep(&mut actor.exe, exe) {
        (actor.args, actor.args_truncated) = (args, args_truncated);
    } else {
        errors
            .push("the process runs another program by now: its path and arguments are not known".to_owned());
    }
    (actor.cwd, actor.cgroup) = (cwd, cgroup);
    if actor.pid_ns == 0 {
        actor.pid_ns = pid_ns;
    }
    errors
}

/// The process that started then, unless it ended.
fn alive(pid: u32, start: u64) -> Option<Process> {
    Process::open(pid).ok().filter(|process| process.started_at(start))
}

/// Whether it is still the file that was seen. If so, its path is known.
fn keep(seen: &mut Executable, now: Executable) -> bool {
    let same = seen.key == now.key;
    if same {
        seen.path = now.path;
    }
    same
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::ObjectKey;

    /// What the kernel side would say of this process.
    fn own() -> Actor {
        let pid = std::process::id();
        let process = Process::open(pid).unwrap();
        let (actor, _) = process.describe(pid, &Wanted::default()).unwrap();
        let exe = Executable { path: Vec::new(), ..actor.exe };
        Actor { pid, start: actor.start, exe, ..Actor::default() }
    }

    #[test]
    fn a_living_process_is_named() {
        let mut actor = own();
        assert_eq!(name(&mut actor, &Wanted::default()), [""; 0]);
        assert_eq!(actor.exe.path, std::env::current_exe().unwrap().as_os_str().as_encoded_bytes());
        assert_eq!(actor.args.unwrap().len(), std::env::args_os().count());
    }

    #[test]
    fn a_number_that_is_given_again_names_nobody() {
        let mut actor = Actor { start: 5, ..own() };
        assert_eq!(name(&mut actor, &Wanted::default()).len(), 1);
        assert!(actor.exe.path.is_empty() && actor.cwd.is_empty());
    }

    #[test]
    fn another_program_gives_no_path() {
        let mut actor = own();
        actor.exe.key = Some(ObjectKey::new(1, 1));
        assert_eq!(name(&mut actor, &Wanted::default()).len(), 1);
        assert!(actor.exe.path.is_empty() && actor.args.is_none());
    }
}
