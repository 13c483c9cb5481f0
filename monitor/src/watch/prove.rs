//! Proving that the hooks see what they claim to: the daemon opens a file, connects to sockets of its own, and the hooks must answer.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use monitor_abi::probe::{PROBE_FILE, PROBE_INET, PROBE_UNIX};

use crate::kernel::{Kernel, LoadError};

/// Whether a hook answered; if not, why that is not known to work.
pub type Proof = Result<(), String>;

#[derive(Clone, Debug)]
pub struct Proofs {
    file: Proof,
    unix: Proof,
    inet: Proof,
}

impl Proofs {
    /// What is not proven, in sentences.
    pub fn missing(&self) -> Vec<String> {
        let Self { file, unix, inet } = self;
        let all = [("opened files", file), ("unix connects", unix), ("TCP connects", inet)];
        all.into_iter()
            .filter_map(|(what, proof)| {
                proof.as_ref().err().map(|why| format!("{what} are not proven to be seen: {why}"))
            })
            .collect()
    }
}

pub fn prove(kernel: &mut Kernel) -> Result<Proofs, LoadError> {
    Ok(Proofs { file: file(kernel)?, unix: unix(kernel)?, inet: inet(kernel)? })
}

fn file(kernel: &mut Kernel) -> Result<Proof, LoadError> {
    let (opened, answer) = kernel.probe(|| File::open("/proc/self/stat"))?;
    Ok(verdict(opened.map(drop), answer.hooks & PROBE_FILE != 0))
}

fn unix(kernel: &mut Kernel) -> Result<Proof, LoadError> {
    let mut failure = "no writable directory for a socket of its own".to_owned();
    for dir in ["/run", "/dev/shm", "/tmp"] {
        let path = Path::new(dir).join(format!(".bypassd-{}.sock", std::process::id()));
        let listener = match UnixListener::bind(&path) {
            Ok(listener) => listener,
            Err(error) => {
                failure = format!("{dir}: {error}");
                continue;
            }
        };
        let (connected, answer) = kernel.probe(|| UnixStream::connect(&path))?;
        drop(listener);
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot remove the socket of the self-test");
        }
        return Ok(verdict(connected.map(drop), answer.hooks & PROBE_UNIX != 0));
    }
    Ok(Err(failure))
}

fn inet(kernel: &mut Kernel) -> Result<Proof, LoadError> {
    let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| Ok((l.local_addr()?, l))) {
        Ok(listener) => listener,
        Err(error) => return Ok(Err(format!("cannot listen on loopback: {error}"))),
    };
    let (address, _listener) = listener;
    let (connected, answer) = kernel.probe(|| TcpStream::connect(address))?;
    let seen = answer.hooks & PROBE_INET != 0 && answer.port == u32::from(address.port());
    Ok(verdict(connected.map(drop), seen))
}

fn verdict(connected: io::Result<()>, seen: bool) -> Proof {
    match (connected, seen) {
        (_, true) => Ok(()),
        (Ok(()), false) => Err("the hook did not see the daemon's own".to_owned()),
        (Err(error), false) => Err(format!("the daemon could not make one of its own: {error}")),
    }
}
