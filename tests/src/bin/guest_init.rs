//! A guest's PID 1: makes it a small node, runs the end-to-end tests or what else is asked for, says how that ended, powers off.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use rustix::mount::{MountFlags, mount, mount_bind_recursive, mount_move};
use rustix::process::{WaitOptions, chdir, chroot, wait};
use rustix::system::{RebootCommand, finit_module, reboot, sethostname};

/// Source and type, directory, options.
const MOUNTS: [(&str, &str, &str); 13] = [
    ("proc", "/proc", ""),
    ("sysfs", "/sys", ""),
    ("devtmpfs", "/dev", ""),
    ("devpts", "/dev/pts", "ptmxmode=0666,mode=0620"),
    ("tmpfs", "/dev/shm", "mode=1777"),
    ("tmpfs", "/run", "mode=0755"),
    ("tmpfs", "/tmp", "mode=1777"),
    // Overlayfs cannot have its upper directory on the file system that the kernel unpacks the guest into.
    ("tmpfs", "/var/lib", "mode=0755"),
    ("cgroup2", "/sys/fs/cgroup", ""),
    ("bpf", "/sys/fs/bpf", ""),
    ("securityfs", "/sys/kernel/security", ""),
    ("debugfs", "/sys/kernel/debug", ""),
    ("tracefs", "/sys/kernel/tracing", ""),
];

/// What udev makes on a node. TOMOYO looks /dev/fd up for every execveat(2), which runc uses to start itself.
const DEVICE_LINKS: [(&str, &str); 4] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

const ENVIRONMENT: [(&str, &str); 5] = [
    ("ACTOR_BIN", "/bin/actor"),
    ("BYPASSD_BIN", "/bin/bypassd"),
    ("BYPASSD_IMAGE", "/image.tar"),
    ("HOME", "/root"),
    ("PATH", "/bin"),
];

/// There if it is wanted.
const SYSTEMD: &str = "/lib/systemd/systemd";

/// What a shell says when a command could not be run.
const NOT_RUN: i32 = 126;

fn main() -> ExitCode {
    // Out of a guest this would turn the machine off.
    if std::process::id() != 1 {
        eprintln!("guest-init runs as PID 1 of a guest only");
        return ExitCode::FAILURE;
    }
    let code = run().unwrap_or_else(|error| {
        println!("guest-init: {error:#}");
        NOT_RUN
    });
    println!("guest-init: exit code {code}");
    rustix::fs::sync();
    // Returning would end PID 1, which is a kernel panic: xtask reads the exit code above all the same.
    if let Err(error) = reboot(RebootCommand::PowerOff) {
        println!("guest-init: cannot power off: {error}");
    }
    ExitCode::FAILURE
}

fn run() -> Result<i32> {
    leave_rootfs().context("cannot leave the initial root")?;
    for (kind, dir, options) in MOUNTS {
        // A kernel may lack one of them; the test that needs it says so.
        if let Err(error) = mount_one(kind, dir, options) {
            println!("guest-init: cannot mount {dir}: {error}");
        }
    }
    for (link, to) in DEVICE_LINKS {
        symlink(to, link).with_context(|| format!("cannot make {link}"))?;
    }
    sethostname(b"guest").context("cannot set the host name")?;
    load_modules()?;
    up("lo")?;
    if Path::new(SYSTEMD).exists() {
        // It runs them instead.
        return Err(Command::new(SYSTEMD).exec()).context("cannot become systemd");
    }
    run_tests()
}

/// The initial root cannot be left with pivot_root(2), which is how runc changes into a container. A bind mount of it can.
fn leave_rootfs() -> io::Result<()> {
    mount_bind_recursive("/", "/newroot")?;
    chdir("/newroot")?;
    mount_move(".", "/")?;
    chroot(".")?;
    Ok(chdir("/")?)
}

fn mount_one(kind: &str, dir: &str, options: &str) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let options = CString::new(options)?;
    Ok(mount(kind, dir, kind, MountFlags::empty(), options.as_c_str())?)
}

fn load_modules() -> Result<()> {
    let list = fs::read_to_string("/modules/load.list").context("cannot read the list of modules")?;
    for path in list.lines() {
        let file = File::open(path).with_context(|| format!("cannot open {path}"))?;
        if let Err(error) = finit_module(&file, c"", 0) {
            println!("guest-init: cannot load {path}: {error}");
        }
    }
    Ok(())
}

fn up(interface: &str) -> Result<()> {
    let status = Command::new("/bin/busybox").args(["ip", "link", "set", interface, "up"]).status();
    let status = status.context("cannot start busybox")?;
    anyhow::ensure!(status.success(), "cannot bring {interface} up ({status})");
    Ok(())
}

fn run_tests() -> Result<i32> {
    let job = fs::read_to_string("/etc/guest.job").context("cannot read what to run")?;
    let mut words = job.lines();
    let mut tests = Command::new(words.next().context("nothing to run")?);
    tests.args(words).envs(ENVIRONMENT);
    let child = tests.spawn().context("cannot start the tests")?;
    reap_until(i32::try_from(child.id())?)
}

/// Everything that loses its parent becomes a child of PID 1, so all of them are waited for, not only the tests.
fn reap_until(tests: i32) -> Result<i32> {
    loop {
        let Some((pid, status)) = wait(WaitOptions::empty()).context("cannot wait")? else { continue };
        if pid.as_raw_nonzero().get() == tests {
            let signalled = || status.terminating_signal().map(|signal| 128 + signal);
            return Ok(status.exit_status().or_else(signalled).unwrap_or(NOT_RUN));
        }
    }
}
