//! Touches one thing and exits at once.

use std::env;
use std::fs::OpenOptions;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CpuSet, remove_capability_from_bounding_set, sched_getaffinity, sched_setaffinity,
    set_no_new_privs,
};

mod disguise;
mod elsewhere;
mod files;
mod hold;
mod sockets;
mod swap;
mod takeover;
mod uring;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match act(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("actor {args:?}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn act(args: &[&str]) -> Result<()> {
    match args {
        // What follows only makes the arguments of this process its own.
        ["open", path, mode, ..] => open(path, mode),
        ["unix", path] => UnixStream::connect(path).map(drop).context("connect"),
        // A refused connection is a use of the door, too.
        ["tcp", ip, port] => {
            let _refused = TcpStream::connect(SocketAddr::new(ip.parse::<IpAddr>()?, port.parse()?));
            Ok(())
        }
        ["renamed", name, rest @ ..] => {
            let name = std::ffi::CString::new(*name)?;
            rustix::thread::set_name(&name)?;
            act(rest)
        }
        ["chain", "0", rest @ ..] => act(rest),
        ["chain", depth, rest @ ..] => chain(depth.parse()?, rest),
        ["many", count, path] => many(count.parse()?, path),
        ["hammer", cpus, threads, count, object] => hammer(cpus, threads.parse()?, count.parse()?, object),
        ["hand", kind, path] => takeover::hand(kind, path),
        ["receive"] => takeover::receive(),
        ["lose", kind, path] => takeover::lose(kind, path),
        ["steal", pid, fd] => takeover::steal(pid.parse()?, fd.parse()?),
        ["control", pid] => takeover::control(pid.parse()?),
        ["traced", rest @ ..] => takeover::traced().and_then(|()| act(rest)),
        ["uring-open", how, path] => uring::open(how, path),
        ["uring-connect", how, path] => uring::connect(how, path),
        ["uring-rename", from, to] => uring::rename(from, to),
        ["uring-link", from, to] => uring::link(from, to),
        ["uring-unlink", path] => uring::unlink(path),
        ["uring-tcp", how, address] => uring::tcp(how, address),
        ["swap", path] => swap::act(path),
        ["inherit", path] => takeover::inherit(path),
        ["inherited", fd] => takeover::inherited(fd.parse()?),
        // The second time under its parent's control.
        ["twice", path] => open(path, "r").and_then(|()| takeover::traced()).and_then(|()| open(path, "r")),
        ["then", path, program, rest @ ..] => takeover::then(path, program, rest),
        ["elsewhere", port] => elsewhere::connects_to(port.parse()?).map(drop),
        ["hold", rest @ ..] => hold::act(rest),
        ["file", rest @ ..] => files::act(rest),
        ["unix-how", how, path] => sockets::unix(how, path),
        ["tcp-how", how, address] => sockets::tcp(how, address),
        ["nobody", rest @ ..] => nobody().and_then(|()| act(rest)),
        ["with-capabilities", mask, program, rest @ ..] => {
            with_capabilities(u64::from_str_radix(mask, 16)?, program, rest)
        }
        ["sleep", ..] => sleep(),
        ["wait", rest @ ..] => wait(rest),
        ["as-file", path] => disguise::as_file(path),
        ["as-file", path, rest @ ..] => disguise::as_file(path).and_then(|()| act(rest)),
        ["as-mapped-file", path] => disguise::as_mapped_file(path),
        ["as-mapped-file", path, rest @ ..] => disguise::as_mapped_file(path).and_then(|()| act(rest)),
        ["memfd", name, rest @ ..] => memfd(name, rest),
        _ => bail!("what to do?"),
    }
}

fn open(path: &str, mode: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    match mode {
        "r" => options.read(true),
        "w" => options.write(true),
        "rw" => options.read(true).write(true),
        "create" => options.write(true).create_new(true),
        other => bail!("unknown mode {other}"),
    };
    options.open(path).map(drop).with_context(|| format!("open {path}"))
}

/// One process inside the other; the innermost acts.
fn chain(depth: u32, action: &[&str]) -> Result<()> {
    let inner = (depth - 1).to_string();
    let status = Command::new(env::current_exe()?).args(["chain", &inner]).args(action).status()?;
    if !status.success() {
        bail!("the process inside ended with {status}");
    }
    Ok(())
}

/// Threads that open one file, or connect to one port, as fast as they can: each on a CPU of its own, or all on one, where they
/// interrupt each other.
fn hammer(cpus: &str, threads: usize, count: u32, object: &str) -> Result<()> {
    let allowed = sched_getaffinity(None)?;
    let all: Vec<_> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
    let used = match cpus {
        "each" => all.as_slice(),
        "one" => &all[..1],
        other => bail!("on which CPUs is {other}?"),
    };
    let port = object.parse::<u16>().ok();
    let work = move |index: usize| {
        let mut own = CpuSet::new();
        used.iter().cycle().nth(index).into_iter().for_each(|cpu| own.set(*cpu));
        sched_setaffinity(None, &own)?;
        (0..count).try_for_each(|_| match port {
            Some(port) => TcpStream::connect(("127.0.0.1", port)).map(drop),
            None => std::fs::File::open(object).map(drop),
        })
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|index| scope.spawn(move || work(index))).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(done) => done.with_context(|| format!("use {object}")),
            Err(_) => bail!("a thread panicked"),
        })
    })
}

/// Gives all privileges away.
fn nobody() -> Result<()> {
    const NOBODY: libc::uid_t = 65534;
    // SAFETY: the calls take no pointers.
    let left = unsafe { libc::setgid(NOBODY) == 0 && libc::setuid(NOBODY) == 0 };
    if left { Ok(()) } else { bail!("{}", std::io::Error::last_os_error()) }
}

/// Becomes another program, which gets these capabilities and can never have another.
fn with_capabilities(mask: u64, program: &str, args: &[&str]) -> Result<()> {
    for number in (0..u64::BITS).filter(|number| mask >> number & 1 == 0) {
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            // The kernel knows none of that number.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(error) => bail!("capability {number} cannot be given up: {error}"),
        }
    }
    set_no_new_privs(true)?;
    Err(Command::new(program).args(args).exec()).context("exec")
}

/// Until its stdin ends.
fn sleep() -> Result<()> {
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).map(drop).context("wait")
}

/// Acts when a line comes, and lives on until its stdin ends.
fn wait(action: &[&str]) -> Result<()> {
    std::io::stdin().read_line(&mut String::new()).context("wait")?;
    act(action)?;
    sleep()
}

/// Goes on as a copy that never had a name.
fn memfd(name: &str, action: &[&str]) -> Result<()> {
    let file = rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::empty())?;
    let mut file = std::fs::File::from(file);
    std::io::copy(&mut std::fs::File::open(env::current_exe()?)?, &mut file)?;
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    // A file that is open for writing is not run.
    let read = std::fs::File::open(&path)?;
    drop(file);
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&read));
    let error = std::os::unix::process::CommandExt::exec(Command::new(path).args(action));
    Err(error).context("exec")
}

/// Starts processes that open a file and are gone, each with its own last argument.
fn many(count: u32, path: &str) -> Result<()> {
    let program = env::current_exe()?;
    for index in 0..count {
        let status = Command::new(&program).args(["open", path, "r", &format!("number-{index}")]).status()?;
        if !status.success() {
            bail!("number {index} ended with {status}");
        }
    }
    Ok(())
}
