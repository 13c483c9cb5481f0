//! One access as it travels through the ring buffer.
//!
//! A record is a [`Head`], then [`OBJECT_MAX`] bytes that begin with one of the object structures (by the head's tag), then
//! sections up to the head's length. A section is a kind, a length (both `u16`) and that many bytes. Integers are in the
//! machine's byte order.
//!
//! A *path* section lists the names from the object upwards, each ended by a zero byte: the kernel finds them in that
//! order and the daemon turns them round. Where the kernel knew no mount, the path is that inside the file system, and its last
//! name is `/`.

/// The object is a [`FileObject`].
pub const TAG_FILE: u32 = 1;
/// The object is a [`UnixObject`].
pub const TAG_UNIX: u32 = 2;
/// The object is an [`InetObject`].
pub const TAG_INET: u32 = 3;
/// The object is a [`ChangeObject`].
pub const TAG_CHANGE: u32 = 4;
/// The object is a [`MountObject`].
pub const TAG_MOUNT: u32 = 5;

/// The object is a [`ProcessObject`].
pub const TAG_PROCESS: u32 = 6;
/// The object is an [`InetObject`] that says how a connection went which a record of its own began. There is no actor.
pub const TAG_OUTCOME: u32 = 7;
/// There is no object: what the actor did is told elsewhere. See [`crate::doer`].
pub const TAG_DOER: u32 = 8;

/// The kernel side does not know whose target it is.
pub const TARGET_NONE: u32 = u32::MAX;

/// Everything about the process that the kernel knows as numbers.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Actor {
    pub start: u64,
    pub caps_effective: u64,
    pub cgroup_id: u64,
    pub exe_ino: u64,
    pub exe_dev: u32,
    /// See the `ACTOR_*` constants.
    pub flags: u32,
    pub tgid: u32,
    pub tid: u32,
    pub uid: u32,
    pub euid: u32,
    pub gid: u32,
    pub egid: u32,
    /// All bits set when never logged in, as the kernel keeps it.
    pub auid: u32,
    pub session: u32,
    pub mnt_ns: u32,
    pub pid_ns: u32,
    pub net_ns: u32,
    /// Another number once the process runs another program, as another user, or under somebody's control: see [`crate::repeat::role`].
    pub role: u32,
    pub comm: [u8; 16],
}

/// The process has no user memory: a kernel thread.
pub const ACTOR_NO_MM: u32 = 1;
/// The executable's last link is gone.
pub const ACTOR_EXE_DELETED: u32 = 1 << 1;
/// The argument list was longer than [`ARGS_MAX`].
pub const ACTOR_ARGS_TRUNCATED: u32 = 1 << 2;
/// The argument list could not be read (paged out, or the process unmapped it).
pub const ACTOR_ARGS_UNREADABLE: u32 = 1 << 3;
/// Another process has control of it.
pub const ACTOR_TRACED: u32 = 1 << 6;
/// `auid` and `session` were read: this kernel keeps them.
pub const ACTOR_HAS_AUDIT: u32 = 1 << 4;
/// `cgroup_id` was read.
pub const ACTOR_HAS_CGROUP: u32 = 1 << 5;

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Head {
    pub tag: u32,
    /// Of the whole record, this head included.
    pub len: u32,
    /// Nanoseconds since boot, suspend included (`CLOCK_BOOTTIME`).
    pub time: u64,
    /// The target whose watch matched.
    pub target: u32,
    /// See the `HEAD_*` constants.
    pub flags: u32,
    /// How many names of the object's path lie below the watched object; 0 when it is that object.
    pub below: u32,
    pub pad: u32,
    pub actor: Actor,
}

/// Not all sections fitted, or a path had more than [`PATH_DEPTH`] names.
pub const HEAD_TRUNCATED: u32 = 1;
/// The object is a directory above watched ones; `target` is one of those.
pub const HEAD_ANCESTOR: u32 = 1 << 1;
/// The object lies beneath something that was just mounted over a directory above the target: maybe in the target, maybe beside it.
pub const HEAD_ACROSS: u32 = 1 << 2;
/// The object was handed over by another process, open.
pub const HEAD_RECEIVED: u32 = 1 << 3;
/// There is no actor: it happened in an interrupt.
pub const HEAD_NO_ACTOR: u32 = 1 << 4;

/// The kernel side could read nothing but numbers: names of the process and its ancestors are missing, and a path is that inside the
/// file system.
pub const HEAD_NUMBERS: u32 = 1 << 5;

/// The object has the number of a watched one and another generation: it got the number after that one was gone, unless somebody
/// changed the generation (`EXT4_IOC_SETVERSION`).
pub const HEAD_STALE: u32 = 1 << 6;

/// A file that was opened.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct FileObject {
    pub ino: u64,
    pub dev: u32,
    /// `file->f_flags`: the flags of open(2).
    pub open_flags: u32,
    /// 1 when this open made the file.
    pub created: u32,
    /// `inode->i_mode`.
    pub mode: u32,
    /// `inode->i_generation`.
    pub generation: u32,
    pub pad: u32,
}

/// A file or a directory entry that was changed without being opened.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ChangeObject {
    /// Zero for what does not exist yet.
    pub ino: u64,
    pub dev: u32,
    /// See the `CHANGE_*` constants.
    pub kind: u32,
    /// `inode->i_mode`, or the mode of what is made.
    pub mode: u32,
    /// See the `PLACE_*` constants.
    pub place: u32,
    /// `inode->i_generation`.
    pub generation: u32,
    pub pad: u32,
}

pub const CHANGE_CREATE: u32 = 1;
pub const CHANGE_MKDIR: u32 = 2;
pub const CHANGE_MKNOD: u32 = 3;
pub const CHANGE_SYMLINK: u32 = 4;
pub const CHANGE_LINK: u32 = 5;
pub const CHANGE_UNLINK: u32 = 6;
pub const CHANGE_RMDIR: u32 = 7;
pub const CHANGE_RENAME: u32 = 8;
pub const CHANGE_EXCHANGE: u32 = 9;
pub const CHANGE_TRUNCATE: u32 = 10;
pub const CHANGE_MODE: u32 = 11;
pub const CHANGE_OWNER: u32 = 12;
pub const CHANGE_XATTR: u32 = 13;

/// The object section is the new place of a rename or link, the other section where it comes from.
pub const PLACE_NEW: u32 = 1;
/// The object section is the old place, the other section where it goes.
pub const PLACE_OLD: u32 = 2;

/// A mount on a watched object, or the end of one.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct MountObject {
    /// Of what is mounted on.
    pub ino: u64,
    pub dev: u32,
    /// 1 for the end of a mount.
    pub umount: u32,
    /// The flags of mount(2); zero for move_mount(2).
    pub flags: u64,
    /// 1 when other mount namespaces get the mount, too.
    pub shared: u32,
    /// `inode->i_generation`.
    pub generation: u32,
}

/// A unix socket that was connected to, named by the peer's end.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct UnixObject {
    pub ino: u64,
    pub dev: u32,
    /// The process that made the listening socket; 0 when unknown.
    pub peer_tgid: u32,
    /// Why the connect failed; 0 when it did not, or has not yet.
    pub errno: u32,
    /// `inode->i_generation`.
    pub generation: u32,
}

/// The process was taken control of.
pub const PROCESS_CONTROLLED: u32 = 0;
/// The process has the kernel say that it runs this file.
pub const PROCESS_MASQUERADES: u32 = 1;

/// A process in whose name another acts.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessObject {
    pub start: u64,
    pub exe_ino: u64,
    pub exe_dev: u32,
    /// See the `ACTOR_*` constants.
    pub flags: u32,
    pub tgid: u32,
    /// One of the `PROCESS_*` constants.
    pub how: u32,
}

/// A TCP connection. Addresses are in network order; IPv4 is written as v4-mapped IPv6. Ports are in host order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct InetObject {
    pub src: [u8; 16],
    pub dst: [u8; 16],
    pub src_port: u16,
    pub dst_port: u16,
    /// 1 when the peer opened the connection.
    pub inbound: u32,
    /// The network namespace of the socket, which is not always the actor's.
    pub net_ns: u32,
    /// Of a failed connection, in the record of its outcome.
    pub errno: u32,
    /// The same in all records of one connection.
    pub sock: u64,
}

/// Path of the actor's executable.
pub const SECTION_EXE: u16 = 1;
/// The actor's arguments, each ended by a zero byte.
pub const SECTION_ARGS: u16 = 2;
/// Path of the actor's working directory.
pub const SECTION_CWD: u16 = 3;
/// Path of the file or socket, in the mount namespace it was found in.
pub const SECTION_OBJECT: u16 = 4;
/// The actor's cgroup, innermost name first.
pub const SECTION_CGROUP: u16 = 5;
/// An [`Ancestor`], followed by the path of its executable; nearest ancestor first.
pub const SECTION_ANCESTOR: u16 = 6;

/// The other end of a rename or link, as `SECTION_OBJECT`.
pub const SECTION_OTHER: u16 = 7;
/// What is mounted, as the actor named it: one name.
pub const SECTION_SOURCE: u16 = 8;
/// Type of the file system that is mounted: one name.
pub const SECTION_FSTYPE: u16 = 9;

/// The parent or an earlier ancestor.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Ancestor {
    pub start: u64,
    pub exe_ino: u64,
    pub exe_dev: u32,
    /// See the `ACTOR_*` constants.
    pub flags: u32,
    pub tgid: u32,
    pub uid: u32,
    pub comm: [u8; 16],
}

/// The parent and six more.
pub const ANCESTORS_MAX: usize = 7;
/// Names in a path. A deeper path keeps the innermost names.
pub const PATH_DEPTH: usize = 24;
/// Bytes of one name, the terminator included.
pub const COMPONENT_MAX: usize = 256;
/// Bytes of the argument list.
pub const ARGS_MAX: usize = 2048;
/// Bytes of all sections.
pub const SECTIONS_MAX: usize = 8192;

pub const OBJECT_MAX: usize = size_of::<InetObject>();

/// Bytes of the ring buffer: 1,700 records with long arguments and many ancestors, 3,000 of the usual ones, which is a second of 100,000 a
/// minute. The daemon has it mapped twice in a row, and all of it counts as resident.
pub const RING_BYTES: u32 = 2 << 20;

/// The longest record: what begins within the sections' bytes may end this much behind them.
pub const RECORD_MAX: usize = size_of::<Head>() + OBJECT_MAX + SECTIONS_MAX + ARGS_MAX + COMPONENT_MAX;

const _: () = assert!(size_of::<Actor>() == 104);
const _: () = assert!(size_of::<Head>() == 136);
const _: () = assert!(size_of::<FileObject>() == 32);
const _: () = assert!(size_of::<ChangeObject>() == 32);
const _: () = assert!(size_of::<MountObject>() == 32);
const _: () = assert!(size_of::<UnixObject>() == 24);
const _: () = assert!(size_of::<InetObject>() == 56);
const _: () = assert!(size_of::<Ancestor>() == 48);
const _: () = assert!(size_of::<ProcessObject>() == 32);
