//! bypassd's kernel programs. An access takes this way through the modules:
//! `hooks` (where the kernel calls us) → `matching` (is the object watched?) → `capture` (who is it?) → `ring`.
#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch))]

#[cfg(target_arch = "bpf")]
mod again;
#[cfg(target_arch = "bpf")]
mod capture;
#[cfg(target_arch = "bpf")]
mod crossing;
#[cfg(target_arch = "bpf")]
mod hooks;
#[cfg(target_arch = "bpf")]
mod learned;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod matching;
#[cfg(target_arch = "bpf")]
mod moves;
#[cfg(target_arch = "bpf")]
mod news;
#[cfg(target_arch = "bpf")]
mod own;
#[cfg(target_arch = "bpf")]
mod reader;
#[cfg(target_arch = "bpf")]
mod ring;

/// The kernel lets only GPL-compatible programs call `probe_read_kernel`.
#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Loops, so that the verifier refuses a program in which a panic can be reached.
#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Cargo wants a `main` where this is built for the host, to check the rest of the workspace.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
