//! A program that does nothing. `cargo xtask bench` compares the hook on opens with it; the daemon does not have it.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(target_arch = "bpf")]
#[aya_ebpf::macros::fentry(function = "security_file_open")]
pub fn empty(_: aya_ebpf::programs::FEntryContext) -> i32 {
    0
}

#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// As in the real programs, for builds on the host.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
