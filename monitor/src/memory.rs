//! Giving memory back: reading the kernel's type information takes 20 MiB for a moment, the daemon a few for good.

/// Returns what the allocator holds and does not use.
pub fn trim() {
    // SAFETY: the function has no precondition; it takes the allocator's own locks.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
