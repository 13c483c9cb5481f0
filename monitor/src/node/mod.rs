//! The node the daemon runs on, seen from outside any container: its root, namespaces and addresses.

mod addresses;
pub mod executables;
mod identity;
mod mounts;
mod named;
pub mod root;

pub use addresses::addresses;
pub use identity::{Identity, Namespaces};
pub use mounts::Mounts;
pub use named::{FileId, file_id, socket_at};
pub use root::Root;
