//! Where the kernel calls us. Each file holds one body and its entry for each way to attach.

mod attach;
mod attributes;
mod daemon;
mod doer;
mod entry;
mod exe_file;
mod file_open;
mod inet_state;
mod mounts;
mod ptrace;
mod receive;
mod sys_exit;
mod syscalls;
mod unix_connect;
mod unix_refused;
mod uring;

/// Index of a hook's scratch space.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Hook {
    FileOpen,
    UnixConnect,
    InetState,
    SysExit,
    InodeCreate,
    InodeMkdir,
    InodeMknod,
    InodeSymlink,
    InodeLink,
    InodeUnlink,
    InodeRmdir,
    InodeRename,
    InodeSetattr,
    InodeSetxattr,
    InodeSetAcl,
    SbMount,
    MoveMount,
    SbUmount,
    FileReceive,
    Ptrace,
    ExeFile,
    UnixRefused,
    InetOutcome,
    InetAccept,
    Uring,
    Doer,
}

impl From<Hook> for u32 {
    #[inline(always)]
    fn from(hook: Hook) -> Self {
        hook as Self
    }
}

impl Hook {
    pub const COUNT: u32 = Self::Doer as u32 + 1;
}
