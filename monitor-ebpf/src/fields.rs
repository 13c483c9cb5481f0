//! The kernel fields the programs read. Both sides use this one list: the daemon finds each field's offset in the running
//! kernel's BTF and writes it into the table the programs are loaded with.

/// What the field must be in BTF. A field of another shape counts as missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A pointer; to this structure, unless the name is empty.
    Pointer(&'static str),
    /// An integer or enum (through typedefs) of this many bytes.
    Int(u32),
    /// Anything of at least this many bytes: an array, an embedded structure.
    Bytes(u32),
}

/// Where one field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldSpec {
    pub structure: &'static str,
    /// Member paths, dots between members, the first that exists wins: kernels rename members. Anonymous structures and
    /// unions on the way are not named.
    pub paths: &'static [&'static str],
    pub shape: Shape,
}

/// The table's entry for a field this kernel does not have.
pub const ABSENT: u32 = u32::MAX;

macro_rules! fields {
    ($($name:ident = $structure:literal [$($path:literal),+] $shape:expr;)+) => {
        /// Index into the table of offsets.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum Field {
            $($name,)+
        }

        impl Field {
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];
            pub const COUNT: usize = Self::ALL.len();

            pub const fn spec(self) -> FieldSpec {
                match self {
                    $(Self::$name => FieldSpec { structure: $structure, paths: &[$($path),+], shape: $shape },)+
                }
            }
        }
    };
}

use Shape::{Bytes, Int, Pointer};

fields! {
    FileInode = "file" ["f_inode"] Pointer("inode");
    FileMnt = "file" ["f_path.mnt"] Pointer("vfsmount");
    FileDentry = "file" ["f_path.dentry"] Pointer("dentry");
    FileFlags = "file" ["f_flags"] Int(4);
    FileMode = "file" ["f_mode"] Int(4);
    FilePrivate = "file" ["private_data"] Pointer("");

    InodeSb = "inode" ["i_sb"] Pointer("super_block");
    InodeIno = "inode" ["i_ino"] Int(8);
    InodeGeneration = "inode" ["i_generation"] Int(4);
    InodeNlink = "inode" ["i_nlink"] Int(4);
    InodeMode = "inode" ["i_mode"] Int(2);
    SbDev = "super_block" ["s_dev"] Int(4);

    DentryParent = "dentry" ["d_parent"] Pointer("dentry");
    DentryInode = "dentry" ["d_inode"] Pointer("inode");
    DentrySb = "dentry" ["d_sb"] Pointer("super_block");
    DentryName = "dentry" ["d_name.name"] Pointer("");
    DentryNameLength = "dentry" ["d_name.len"] Int(4);
    DentryShortName = "dentry" ["d_iname", "d_shortname.string"] Bytes(32);

    VfsmountRoot = "vfsmount" ["mnt_root"] Pointer("dentry");
    VfsmountFlags = "vfsmount" ["mnt_flags"] Int(4);
    VfsmountSb = "vfsmount" ["mnt_sb"] Pointer("super_block");
    SbType = "super_block" ["s_type"] Pointer("file_system_type");
    FsTypeName = "file_system_type" ["name"] Pointer("");
    PathMnt = "path" ["mnt"] Pointer("vfsmount");
    PathDentry = "path" ["dentry"] Pointer("dentry");
    IattrValid = "iattr" ["ia_valid"] Int(4);
    IattrMode = "iattr" ["ia_mode"] Int(2);
    MountVfsmount = "mount" ["mnt"] Bytes(8);
    MountParent = "mount" ["mnt_parent"] Pointer("mount");
    MountMountpoint = "mount" ["mnt_mountpoint"] Pointer("dentry");

    TaskTgid = "task_struct" ["tgid"] Int(4);
    TaskLeader = "task_struct" ["group_leader"] Pointer("task_struct");
    TaskParent = "task_struct" ["real_parent"] Pointer("task_struct");
    TaskPtrace = "task_struct" ["ptrace"] Int(4);
    TaskStart = "task_struct" ["start_boottime", "real_start_time"] Int(8);
    TaskComm = "task_struct" ["comm"] Bytes(16);
    TaskMm = "task_struct" ["mm"] Pointer("mm_struct");
    TaskCred = "task_struct" ["cred"] Pointer("cred");
    TaskNsproxy = "task_struct" ["nsproxy"] Pointer("nsproxy");
    TaskPid = "task_struct" ["thread_pid"] Pointer("pid");
    TaskFiles = "task_struct" ["files"] Pointer("files_struct");
    TaskFs = "task_struct" ["fs"] Pointer("fs_struct");
    TaskCgroups = "task_struct" ["cgroups"] Pointer("css_set");
    TaskLoginuid = "task_struct" ["loginuid.val"] Int(4);
    TaskSessionid = "task_struct" ["sessionid"] Int(4);
    TaskThreadStatus = "task_struct" ["thread_info.status"] Int(4);

    MmExeFile = "mm_struct" ["exe_file"] Pointer("file");
    MmArgStart = "mm_struct" ["arg_start"] Int(8);
    MmArgEnd = "mm_struct" ["arg_end"] Int(8);

    CredUid = "cred" ["uid.val"] Int(4);
    CredEuid = "cred" ["euid.val"] Int(4);
    CredGid = "cred" ["gid.val"] Int(4);
    CredEgid = "cred" ["egid.val"] Int(4);
    CredCapEffective = "cred" ["cap_effective"] Bytes(8);

    NsproxyMnt = "nsproxy" ["mnt_ns"] Pointer("mnt_namespace");
    NsproxyNet = "nsproxy" ["net_ns"] Pointer("net");
    MntNsInum = "mnt_namespace" ["ns.inum"] Int(4);
    NetNsInum = "net" ["ns.inum"] Int(4);
    PidNsInum = "pid_namespace" ["ns.inum"] Int(4);
    PidLevel = "pid" ["level"] Int(4);
    PidNumbers = "pid" ["numbers"] Bytes(0);
    UpidNr = "upid" ["nr"] Int(4);
    UpidNs = "upid" ["ns"] Pointer("pid_namespace");

    FsPwdMnt = "fs_struct" ["pwd.mnt"] Pointer("vfsmount");
    FsPwdDentry = "fs_struct" ["pwd.dentry"] Pointer("dentry");

    CssSetCgroup = "css_set" ["dfl_cgrp"] Pointer("cgroup");
    CgroupKn = "cgroup" ["kn"] Pointer("kernfs_node");
    KernfsName = "kernfs_node" ["name"] Pointer("");
    KernfsParent = "kernfs_node" ["parent", "__parent"] Pointer("kernfs_node");
    KernfsId = "kernfs_node" ["id"] Int(8);

    FilesFdt = "files_struct" ["fdt"] Pointer("fdtable");
    FdtableMax = "fdtable" ["max_fds"] Int(4);
    FdtableFd = "fdtable" ["fd"] Pointer("");

    SocketSk = "socket" ["sk"] Pointer("sock");
    SockFamily = "sock" ["__sk_common.skc_family"] Int(2);
    SockState = "sock" ["__sk_common.skc_state"] Int(1);
    SockNet = "sock" ["__sk_common.skc_net.net"] Pointer("net");
    SockError = "sock" ["sk_err"] Int(4);
    SockDport = "sock" ["__sk_common.skc_dport"] Int(2);
    SockNum = "sock" ["__sk_common.skc_num"] Int(2);
    SockDaddr = "sock" ["__sk_common.skc_daddr"] Int(4);
    SockSaddr = "sock" ["__sk_common.skc_rcv_saddr"] Int(4);
    SockDaddr6 = "sock" ["__sk_common.skc_v6_daddr"] Bytes(16);
    SockSaddr6 = "sock" ["__sk_common.skc_v6_rcv_saddr"] Bytes(16);
    SockPeerPid = "sock" ["sk_peer_pid"] Pointer("pid");
    UnixMnt = "unix_sock" ["path.mnt"] Pointer("vfsmount");
    UnixDentry = "unix_sock" ["path.dentry"] Pointer("dentry");
    UnixPeer = "unix_sock" ["peer"] Pointer("sock");

    RequestOpcode = "io_kiocb" ["opcode"] Int(1);
    RequestFile = "io_kiocb" ["file"] Pointer("file");
    RequestResult = "io_kiocb" ["cqe.res"] Int(4);

    RegsSyscall = "pt_regs" ["orig_ax", "syscallno"] Bytes(4);
    RegsArg0 = "pt_regs" ["di", "orig_x0"] Int(8);
    RegsArg1 = "pt_regs" ["si"] Int(8);
}
