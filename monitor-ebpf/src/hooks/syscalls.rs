//! Which system calls leave a file or a connection behind, by number. Numbers are the ABI's and never change.

/// What a finished system call may have left behind.
pub enum Left {
    /// A file descriptor of an opened file, as the return value.
    File,
    /// A connected socket, as the first argument.
    Connection,
}

/// Numbers of the machine's own ABI.
#[inline(always)]
pub fn native(number: u32) -> Option<Left> {
    #[cfg(bpf_target_arch = "aarch64")]
    match number {
        // openat, openat2, open_by_handle_at
        56 | 437 | 265 => Some(Left::File),
        203 => Some(Left::Connection),
        _ => None,
    }
    // x32 calls carry bit 30 and otherwise the numbers of x86-64.
    #[cfg(not(bpf_target_arch = "aarch64"))]
    match number & !(1 << 30) {
        // open, creat, openat, open_by_handle_at, openat2
        2 | 85 | 257 | 304 | 437 => Some(Left::File),
        42 => Some(Left::Connection),
        _ => None,
    }
}

/// Numbers of 32-bit x86 calls, which a 64-bit process can make too.
#[inline(always)]
pub fn compat(number: u32) -> Option<Left> {
    match number {
        // open, creat, openat, open_by_handle_at, openat2
        5 | 8 | 295 | 342 | 437 => Some(Left::File),
        362 => Some(Left::Connection),
        _ => None,
    }
}
