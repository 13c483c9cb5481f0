//! Proving that the socket hooks see what they claim to: the daemon connects to sockets of its own and the hooks must answer.
//! Files need no such thing, because arming a file target is the proof.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use monitor_abi::probe::{PROBE_INET, PROBE_UNIX};

use crate::kernel::{Kernel, LoadError};

/// Whether a hook answered; if not, why that is not known to work.
pub type Proof = Result<(), String>;

/// One for unix connects, one for TCP connects.
pub fn prove(kernel: &mut Kernel) -> Result<(Proof, Proof), LoadError> {
    Ok((unix(kernel)?, inet(kernel)?))
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
        (Ok(()), false) => Err("the hook did not see the daemon's own connection".to_owned()),
        (Err(error), false) => Err(format!("the daemon could not connect to itself: {error}")),
    }
}
