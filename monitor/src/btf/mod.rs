//! Where the running kernel keeps the fields the programs read.
//!
//! `reader` indexes the kernel's own type information (<https://docs.kernel.org/bpf/btf.html>), `resolve` finds a member
//! in it, `shape` checks that the member is what the programs take it for, `offsets` does so for every field of the ABI. `skeleton` is what the
//! loader gets of it.
//! All of it is total: hostile bytes give an error in bounded time and memory, never a panic.

mod error;
mod kind;
mod offsets;
mod reader;
mod resolve;
mod shape;
mod skeleton;
#[cfg(test)]
mod testing;

pub use error::{BtfError, FieldError};
pub use kind::Kind;
pub use offsets::{Offsets, Types};
pub use reader::{Btf, Member, Parameter, Type};
