//! What runs on the node says where its doors are: flags, environment and configuration files of the kubelet, the runtimes, etcd and the API
//! server. What they say is added to the policy's targets and never takes one away.
//!
//! Nothing is asked of them: /proc and files are read, as they would read them. `belief` says whose word counts.

mod apiserver;
pub mod belief;
mod containerd;
mod crio;
pub(crate) mod dockerd;
pub mod document;
mod etcd;
pub mod flags;
pub(crate) mod found;
mod known;
pub(crate) mod kubelet;
pub(crate) mod process;
pub mod program;
pub(crate) mod single;
#[cfg(test)]
mod testing;

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;
use std::{io, thread};

use tokio::sync::oneshot::{Receiver, channel};

use self::found::Findings;
pub use self::found::Found;
pub use self::known::{Known, News};
use self::process::{All, Process};
use self::program::Program;
use crate::node::Root;

/// What the processes of the node say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    pub found: Vec<Found>,
    /// What could not be found out, in sentences.
    pub notes: Vec<String>,
}

/// Looks on a thread of its own, because it may wait for file systems of others.
pub fn begin(root: &Root, sockets: Vec<PathBuf>) -> Receiver<Result<Running, String>> {
    let (sender, receiver) = channel();
    let looking = root.try_clone().and_then(|root| {
        thread::Builder::new().name("running".to_owned()).spawn(move || {
            // Nobody waits any more when the daemon has stopped.
            let _stopped = sender.send(look(&root, &sockets).map_err(|error| error.to_string()));
        })
    });
    if let Err(error) = looking {
        tracing::error!(%error, "cannot look at what runs");
    }
    receiver
}

/// The same for who has nothing else to do meanwhile.
pub fn look_within(root: &Root, sockets: Vec<PathBuf>, most: Duration) -> Result<Running, String> {
    let (sender, receiver) = mpsc::channel();
    let answer = begin(root, sockets);
    thread::spawn(move || sender.send(answer.blocking_recv()));
    match receiver.recv_timeout(most) {
        Ok(Ok(running)) => running,
        Ok(Err(_)) => Err("the look at it failed".to_owned()),
        Err(_) => Err("a look at its files does not end".to_owned()),
    }
}

fn look(root: &Root, sockets: &[PathBuf]) -> io::Result<Running> {
    let All { believed, too_many, others: _ } = process::all(root, sockets)?;
    let mut running = say(&believed);
    if too_many > 0 {
        running.notes.push(format!("{too_many} more processes of the same programs were not looked at"));
    }
    Ok(running)
}

/// What these processes say.
pub(crate) fn say(processes: &[Process]) -> Running {
    let mut running = Running::default();
    for process in processes {
        let mut findings = Findings::new(process);
        read(process, &mut findings);
        let Findings { found, notes, .. } = findings;
        running.found.extend(found);
        running.notes.extend(notes);
    }
    running
}

/// What a process with these bytes would say, if every file that it reads had the same text.
pub(crate) fn made(program: Program, cmdline: &[u8], environ: &[u8], text: &[u8]) -> Running {
    let process = Process::made(program, cmdline, environ, text);
    let mut findings = Findings::new(&process);
    read(&process, &mut findings);
    let Findings { found, notes, .. } = findings;
    Running { found, notes }
}

fn read(process: &Process, findings: &mut Findings<'_>) {
    match process.program {
        Program::Kubelet => kubelet::read(process, findings),
        Program::Containerd => containerd::read(process, findings),
        Program::Crio => crio::read(process, findings),
        Program::Etcd => etcd::read(process, findings),
        Program::Apiserver => apiserver::read(process, findings),
        Program::K3s | Program::Rke2 => single::k3s(process, findings),
        Program::K0s => single::k0s(process, findings),
        Program::Dockerd => dockerd::read(process, findings),
        Program::Kubelite => single::kubelite(process, findings),
    }
}
