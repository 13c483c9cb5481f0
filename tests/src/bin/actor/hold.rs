//! Uses a door and keeps it open, says so, and waits until its stdin ends.

use std::fs::File;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread;

use anyhow::{Context as _, Result, bail};
use rustix::fs::{Mode, OFlags, open};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::elsewhere;

pub fn act(args: &[&str]) -> Result<()> {
    match args {
        ["apart", rest @ ..] => apart(rest),
        ["orphan", rest @ ..] => orphan(rest),
        // A pod that is left to itself: the connection stays where it was made.
        ["leave", rest @ ..] => {
            let held = take(rest)?;
            // SAFETY: nothing here depends on the network namespace.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
            wait(held)
        }
        _ => wait(take(args)?),
    }
}

type Held = Vec<OwnedFd>;

fn take(args: &[&str]) -> Result<Held> {
    Ok(match args {
        ["open", path, mode, ..] => vec![file(path, mode)?],
        ["unix", path] => vec![UnixStream::connect(path).context("connect")?.into()],
        ["tcp", address, count] => (0..count.parse()?)
            .map(|_: u32| Ok(TcpStream::connect(address)?.into()))
            .collect::<Result<_>>()?,
        // Both ends.
        ["tcp-own", address] => {
            let listener = TcpListener::bind(address)?;
            let client = TcpStream::connect(address)?;
            let server = listener.accept()?.0;
            vec![listener.into(), client.into(), server.into()]
        }
        ["elsewhere", port] => elsewhere::connects_to(port.parse()?)?,
        _ => bail!("what to hold?"),
    })
}

fn file(path: &str, mode: &str) -> Result<OwnedFd> {
    let flags = match mode {
        "r" => OFlags::RDONLY,
        "w" => OFlags::WRONLY,
        "rw" => OFlags::RDWR,
        "path" => OFlags::PATH,
        other => bail!("unknown mode {other}"),
    };
    open(path, flags | OFlags::CLOEXEC, Mode::empty()).with_context(|| format!("open {path}"))
}

/// In a thread that shares its descriptors with no other.
fn apart(args: &[&str]) -> Result<()> {
    in_thread(|| {
        // SAFETY: no descriptor of the other threads is used here but the standard ones, which stay.
        unsafe { unshare_unsafe(UnshareFlags::FILES) }?;
        wait(take(args)?)
    })
}

fn in_thread(work: impl FnOnce() -> Result<()> + Send) -> Result<()> {
    thread::scope(|scope| match scope.spawn(work).join() {
        Ok(done) => done,
        Err(_) => bail!("the thread panicked"),
    })
}

/// In a thread that outlives the first one.
fn orphan(args: &[&str]) -> Result<()> {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    #[expect(clippy::exit, reason = "the thread whose end would be the program's is gone")]
    thread::spawn(move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let code = i32::from(take(&args).and_then(wait).is_err());
        std::process::exit(code);
    });
    // SAFETY: ends this thread and nothing else; what is on its stack is never used again.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    bail!("the first thread did not end")
}

fn wait(held: Held) -> Result<()> {
    println!("ready");
    std::io::stdout().flush()?;
    // Not by std's handle, which the first thread may have locked.
    let mut stdin = File::open("/proc/thread-self/fd/0").context("stdin")?;
    std::io::copy(&mut stdin, &mut std::io::sink())?;
    drop(held);
    Ok(())
}
