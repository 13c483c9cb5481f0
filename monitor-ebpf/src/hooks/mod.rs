//! Where the kernel calls us. Each file holds one body and its entry for each way to attach.

mod daemon;
mod file_open;
mod inet_state;
mod sys_exit;
mod syscalls;
mod unix_connect;

/// Index of a hook's scratch space.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Hook {
    FileOpen,
    UnixConnect,
    InetState,
    SysExit,
}

impl Hook {
    pub const COUNT: u32 = Self::SysExit as u32 + 1;
}
