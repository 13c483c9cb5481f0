//! A process whose word counts, and what it sees. Files are read through its own root, where its container has them, and never by
//! a link that leads out of it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::belief::{Facts, is_believed, is_contained, is_own_service, paths, unit};
use super::document::SIZE_MAX;
use super::flags::Flags;
use super::program::Program;
use crate::access::Actor;
use crate::config::absolute;
use crate::identity::Identities;
use crate::node::root::canonical;
use crate::node::{Mounts, Namespaces, Root};
use crate::snapshot;

/// The kernel lets a command line have more, but no program here has.
const CMDLINE_MAX: u64 = 256 << 10;
const ENVIRON_MAX: u64 = 256 << 10;

/// More processes than the kernel's usual limit are not looked at.
const PROCESSES_MAX: usize = 1 << 16;

/// Names of one directory that are looked at.
pub const NAMES_MAX: usize = 256;

/// Of one program.
const EACH_MAX: usize = 4;

/// Never shown as a whole: an environment has secrets.
pub struct Process {
    pub program: Program,
    pub pid: u32,
    pub flags: Flags,
    pub environ: Vec<u8>,
    cwd: PathBuf,
    files: Files,
    /// Its mounts and the node's, where it has others.
    mounts: Option<(Mounts, Mounts)>,
}

/// What it reads.
enum Files {
    /// As it sees them.
    Of(Root),
    /// The same at every path, for who tries what becomes of it.
    Same(Vec<u8>),
}

/// What runs of the programs that say where doors are.
#[derive(Default)]
pub struct All {
    pub believed: Vec<Process>,
    /// How many of one program were too many.
    pub too_many: usize,
    /// Programs of which something runs whose word does not count.
    pub others: Vec<Program>,
}

pub fn all(root: &Root, sockets: &[PathBuf]) -> io::Result<All> {
    let node = Node::read(root, sockets)?;
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.take(PROCESSES_MAX) {
        // One that ended meanwhile says nothing.
        let Some(pid) = entry.ok().and_then(|entry| entry.file_name().to_str()?.parse().ok()) else {
            continue;
        };
        let Ok(exe) = fs::read_link(format!("/proc/{pid}/exe")) else { continue };
        let Some(program) = Program::of_exe(exe.as_os_str().as_bytes()) else { continue };
        let Some(process) = snapshot::Process::open(pid).ok() else { continue };
        if let Some(start) = process.start() {
            found.push((start, program, process));
        }
    }
    let mut node = node;
    let mut others = Vec::new();
    found.retain(|(start, program, process)| {
        let believed = node.believes(*program, *start, process);
        if !believed {
            tracing::debug!(pid = process.pid, program = program.name(), "its word does not count");
            if !others.contains(program) {
                others.push(*program);
            }
        }
        believed
    });
    // Services that are called like the program come first, so that no other process can push them out.
    found.sort_by_cached_key(|(start, program, process)| {
        let cgroups = process.read("cgroup").unwrap_or_default();
        (!is_own_service(*program, unit(&cgroups)), *start, process.pid)
    });
    let (mut believed, mut too_many) = (Vec::<Process>::new(), 0);
    for (start, program, process) in found {
        if believed.iter().filter(|known| known.program == program).count() >= EACH_MAX {
            too_many += 1;
            continue;
        }
        if let Some(read) = node.read_process(program, &process).filter(|_| process.start() == Some(start)) {
            believed.push(read);
        }
    }
    Ok(All { believed, too_many, others })
}

/// What processes are compared with.
struct Node<'a> {
    root: &'a Root,
    namespaces: Namespaces,
    users: Option<u32>,
    identities: Identities,
}

impl<'a> Node<'a> {
    fn read(root: &'a Root, sockets: &[PathBuf]) -> io::Result<Self> {
        let (first, own) = (snapshot::Process::open(1)?, snapshot::Process::open(std::process::id())?);
        // Where nobody may look at process 1, the daemon was not put into a container that could be told from the node.
        let number = |kind: &str| first.namespace(kind).or_else(|| own.namespace(kind));
        let [mnt, pid, net] = ["mnt", "pid", "net"].map(|kind| number(kind).unwrap_or_default());
        let namespaces = Namespaces { mnt, pid, net };
        let users = number("user");
        Ok(Self { root, namespaces, users, identities: Identities::new(root, sockets, false) })
    }

    fn believes(&mut self, program: Program, start: u64, process: &snapshot::Process) -> bool {
        let cgroups = process.read("cgroup").unwrap_or_default();
        let is_nodes = |kind: &str, own: u32| own != 0 && process.namespace(kind) == Some(own);
        let node_net = is_nodes("net", self.namespaces.net);
        let contained = is_contained(&cgroups);
        let container = if contained && program.is_in_pods() && node_net {
            self.container(start, process, &cgroups)
        } else {
            None
        };
        is_believed(Facts {
            program,
            root: process.euid() == Some(0),
            node_pids: is_nodes("pid", self.namespaces.pid),
            node_users: self.users.is_some_and(|own| is_nodes("user", own)),
            node_net,
            contained,
            unit: unit(&cgroups),
            container: container.as_ref().map(|(namespace, name)| (namespace.as_str(), name.as_str())),
        })
    }

    /// Namespace of its pod and its own name, if its runtime is proven to have put it there.
    fn container(
        &mut self,
        start: u64,
        process: &snapshot::Process,
        cgroups: &[u8],
    ) -> Option<(String, String)> {
        let mnt_ns = process.namespace("mnt")?;
        paths(cgroups).find_map(|path| {
            let actor = Actor { pid: process.pid, start, mnt_ns, cgroup: path.to_vec(), ..Actor::default() };
            let whose = self.identities.of(self.root, &actor, self.namespaces);
            let (pod, container) = (whose.pod.filter(|_| whose.proven)?, whose.container?);
            Some((pod.namespace?, container.name?))
        })
    }

    fn read_process(&self, program: Program, process: &snapshot::Process) -> Option<Process> {
        let pid = process.pid;
        let cmdline = process.read_at_most("cmdline", CMDLINE_MAX).ok()?;
        let environ = process.read_at_most("environ", ENVIRON_MAX).unwrap_or_default();
        let cwd = process.link("cwd").map(|cwd| PathBuf::from(OsString::from_vec(cwd))).unwrap_or_default();
        let in_other_mounts = process.namespace("mnt") != Some(self.namespaces.mnt);
        let mounts = if in_other_mounts {
            let own = Mounts::read(Path::new(&format!("/proc/{pid}/mountinfo"))).ok()?;
            Some((own, Mounts::read(self.root.mountinfo()).ok()?))
        } else {
            None
        };
        let root = Root::of_process(pid).ok()?;
        Some(Process {
            program,
            pid,
            flags: Flags::of_cmdline(&cmdline),
            environ,
            cwd,
            files: Files::Of(root),
            mounts,
        })
    }
}

impl Process {
    /// A path as the process means it: below its working directory, unless it is whole.
    pub fn whole(&self, path: &str) -> PathBuf {
        self.cwd.join(path)
    }

    /// A file that it reads.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match &self.files {
            Files::Of(root) => root.read_linked(path, SIZE_MAX),
            Files::Same(text) => Ok(text.clone()),
        }
    }

    /// The names in a directory that it reads, in order.
    pub fn list(&self, path: &Path) -> Vec<PathBuf> {
        self.try_list(path).unwrap_or_default()
    }

    /// The same for who has to know whether it could be read.
    pub fn try_list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut names = match &self.files {
            Files::Of(root) => root.list(path, NAMES_MAX)?,
            Files::Same(_) => ["a.conf", "a.yaml", "a.toml"].map(OsString::from).to_vec(),
        };
        names.sort();
        Ok(names.into_iter().map(|name| path.join(name)).collect())
    }

    /// Where the path is on the node. `None` when the node does not have it, or for what nobody names.
    pub fn on_node(&self, path: &Path) -> Option<PathBuf> {
        let path = absolute(path.to_str()?).ok()?;
        let Files::Of(root) = &self.files else { return Some(path) };
        let Some((own, node)) = &self.mounts else { return Some(of_run(root, path)) };
        // As far as it exists, symbolic links of the container are followed in it.
        let (above, opened) =
            path.ancestors().find_map(|above| Some((above, root.open(above, OFlags::PATH).ok()?)))?;
        let real = canonical(&opened).ok()?;
        let rest = path.strip_prefix(above).ok()?;
        let real = if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        let (dev, inside) = own.locate(&real)?;
        node.on_node(dev, &inside)
    }

    /// One that finds the same text in every file.
    pub fn made(program: Program, cmdline: &[u8], environ: &[u8], text: &[u8]) -> Self {
        let (flags, files) = (Flags::of_cmdline(cmdline), Files::Same(text.to_vec()));
        Self { program, pid: 7, flags, environ: environ.to_vec(), cwd: "/".into(), files, mounts: None }
    }

    #[cfg(test)]
    pub fn fixture(program: Program, root: &Path, cmdline: &str, environ: &[u8]) -> Self {
        let cmdline = cmdline.replace(' ', "\0");
        let files = Files::Of(Root::at_dir(root).unwrap());
        let flags = Flags::of_cmdline(cmdline.as_bytes());
        Self { program, pid: 7, flags, environ: environ.to_vec(), cwd: "/".into(), files, mounts: None }
    }
}

/// `/var/run` is a link to `/run` nearly everywhere, and the same door is not to be there twice.
fn of_run(root: &Root, path: PathBuf) -> PathBuf {
    let Ok(rest) = path.strip_prefix("/var/run") else { return path };
    let run =
        root.open(Path::new("/var/run"), OFlags::PATH | OFlags::DIRECTORY).and_then(|dir| canonical(&dir));
    match run {
        Ok(run) if run.file_name() == Some(OsStr::new("run")) && run.parent() == Some(Path::new("/")) => {
            Path::new("/run").join(rest)
        }
        _ => path,
    }
}
