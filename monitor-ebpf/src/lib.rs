//! The contract between the kernel programs and the daemon: what goes into the maps, what comes out of the
//! ring buffer, and which kernel fields the programs read.
//!
//! Every type is `#[repr(C)]` with explicit padding and a size asserted at compile time, so both sides agree
//! whatever compiles them. Nothing here allocates or does I/O; the module builds for the host and for BPF.
#![no_std]

pub mod counters;
pub mod doer;
pub mod fields;
pub mod probe;
pub mod record;
pub mod repeat;
pub mod watch;
