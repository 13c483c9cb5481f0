//! The descriptors of a process, compared with what is watched. One call a descriptor tells what it is; only those that matter are
//! looked at more closely.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use rustix::fs::{Dir, FileType, Mode, OFlags, Statx, fstat, openat};

use super::process::{Process, id, kernel_key, stat, without_mark};
use super::sockets::Sockets;
use super::status::flags;
use super::tables;
use super::wanted::Wanted;
use super::{Holder, Use, Uses};
use crate::access::{FileObject, Object, ObjectKey, TargetId};
use crate::model::Action;
use crate::node::Mounts;

/// Mount namespaces whose mounts are kept in mind.
const MOUNTS_MAX: usize = 64;

pub(super) struct Fds<'a> {
    wanted: &'a Wanted,
    sockets: &'a Sockets,
    /// The device that sockets are on.
    sockfs: u64,
    /// Of the process that is looked at; not known before it matters.
    mount_namespace: Option<u32>,
    mounts: HashMap<u32, Mounts>,
    /// Who listens on a watched socket.
    listening: HashMap<ObjectKey, Vec<u32>>,
}

/// What one process holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// By the task that has it.
    pub uses: Vec<(u32, Uses)>,
    /// Its descriptors cannot be looked at.
    pub refused: bool,
}

impl<'a> Fds<'a> {
    pub(super) fn new(wanted: &'a Wanted, sockets: &'a Sockets) -> io::Result<Self> {
        let sockfs = fstat(&UnixDatagram::unbound()?)?.st_dev;
        Ok(Self {
            wanted,
            sockets,
            sockfs,
            mount_namespace: None,
            mounts: HashMap::new(),
            listening: HashMap::new(),
        })
    }

    pub(super) fn of(&mut self, process: &Process) -> Found {
        let mut found = Found::default();
        self.mount_namespace = None;
        for task in tables::tasks(process) {
            let mut uses = Uses::default();
            let dir = match open_table(process, task) {
                Ok(dir) => dir,
                Err(error) => {
                    found.refused |= !is_gone(&error);
                    continue;
                }
            };
            for name in names(&dir) {
                match self.descriptor(process, task, &dir, &name) {
                    Ok(used) => used.into_iter().for_each(|used| uses.add(used)),
                    Err(error) => found.refused |= !is_gone(&error),
                }
            }
            if !uses.list.is_empty() {
                found.uses.push((task, uses));
            }
        }
        found
    }

    fn descriptor(
        &mut self,
        process: &Process,
        task: u32,
        dir: &OwnedFd,
        name: &str,
    ) -> io::Result<Option<Use>> {
        let stat = stat(dir, name)?;
        match FileType::from_raw_mode(stat.stx_mode.into()) {
            FileType::Socket if id(&stat).dev == self.sockfs => Ok(self.socket(process, stat.stx_ino)),
            kind @ (FileType::RegularFile | FileType::Directory) => {
                let is_near = self.wanted.devices.contains(&id(&stat).dev);
                if is_near {
                    self.file(process, task, name, &stat, kind == FileType::Directory)
                } else {
                    Ok(None)
                }
            }
            _ => Ok(None),
        }
    }

    fn socket(&mut self, process: &Process, ino: u64) -> Option<Use> {
        if let Some(key) = self.sockets.listeners.get(&ino) {
            let listening = self.listening.entry(*key).or_default();
            if !listening.contains(&process.pid) {
                listening.push(process.pid);
            }
        }
        self.sockets.clients.get(&ino).cloned()
    }

    fn file(
        &mut self,
        process: &Process,
        task: u32,
        name: &str,
        stat: &Statx,
        directory: bool,
    ) -> io::Result<Option<Use>> {
        let path_seen = without_mark(process.link(&format!("task/{task}/fd/{name}"))?, stat.stx_nlink == 0);
        let known = self.wanted.files.get(&id(stat)).map(|(target, key)| (*target, *key, 0, Vec::new()));
        let Some((target, key, below, path_inside)) =
            known.or_else(|| self.beneath(process, stat, &path_seen))
        else {
            return Ok(None);
        };
        let fdinfo = process.read(&format!("task/{task}/fdinfo/{name}"))?;
        let Some(mode) = flags(&fdinfo).map(OFlags::from_bits_retain) else { return Ok(None) };
        // Names the file and opens nothing.
        if mode.contains(OFlags::PATH) {
            return Ok(None);
        }
        let access = mode & OFlags::ACCMODE;
        let (read, write) = (access != OFlags::WRONLY, access != OFlags::RDONLY);
        let action = if write { Action::Write } else { Action::Open };
        let object = FileObject { key, path_seen, path_inside, other: None, read, write, directory };
        Ok(Some(Use { target, below, action, object: Object::File(object) }))
    }

    /// What is not known by its object but is beneath a watched directory, or was: by its path, through the mount it was opened by.
    fn beneath(
        &mut self,
        process: &Process,
        stat: &Statx,
        path_seen: &[u8],
    ) -> Option<(TargetId, ObjectKey, u32, Vec<u8>)> {
        let wanted = self.wanted;
        let seen = Path::new(OsStr::from_bytes(path_seen));
        let (dev, inside) = self.mounts_of(process)?.inside(stat.stx_mnt_id, seen)?;
        let on_node = wanted.mounts.on_node(dev, &inside)?;
        let (base, target) = wanted.trees.iter().find(|(base, _)| on_node.starts_with(base))?;
        let below = on_node.strip_prefix(base).ok()?.components().count();
        let exact = wanted.exact.get(&id(stat)).copied();
        let key = exact.unwrap_or_else(|| ObjectKey::new(dev, kernel_key(stat).ino));
        Some((*target, key, u32::try_from(below).ok()?, inside.into_os_string().into_encoded_bytes()))
    }

    fn mounts_of(&mut self, process: &Process) -> Option<&Mounts> {
        let namespace = self.mount_namespace.or_else(|| process.namespace("mnt"))?;
        self.mount_namespace = Some(namespace);
        if namespace == self.wanted.node.mnt {
            return Some(&self.wanted.mounts);
        }
        if self.mounts.len() >= MOUNTS_MAX && !self.mounts.contains_key(&namespace) {
            self.mounts.clear();
        }
        Some(self.mounts.entry(namespace).or_insert_with(|| {
            Mounts::read(Path::new(&format!("/proc/{}/mountinfo", process.pid))).unwrap_or_default()
        }))
    }

    /// Says who listens at the other end, where that is one process.
    pub(super) fn name_listeners(&self, holders: &mut [Holder]) {
        for holder in holders {
            if let Object::UnixSocket(socket) = &mut holder.decoded.access.object
                && let Some([pid]) = self.listening.get(&socket.key).map(Vec::as_slice)
            {
                socket.peer_pid = Some(*pid);
            }
        }
    }
}

fn open_table(process: &Process, task: u32) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat(&process.dir, format!("task/{task}/fd"), flags, Mode::empty())?)
}

/// Numbers of the descriptors, as long as there are any.
fn names(table: &OwnedFd) -> impl Iterator<Item = String> {
    let entries = Dir::read_from(table).ok();
    let names = entries.into_iter().flatten().map_while(Result::ok);
    names
        .filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned))
        .filter(|name| !name.starts_with('.'))
}

/// The descriptor was closed, or the process has ended.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH))
}
