//! The node the daemon runs on, seen from outside any container: its root, namespaces and addresses.

mod addresses;
mod clients;
pub(crate) mod diag;
pub mod executables;
mod identity;
mod lives;
mod mounts;
mod named;
mod netns;
pub mod root;

pub use addresses::Addresses;
pub use clients::Clients;
pub use identity::{FIRST_PID_NS, Identity, Namespaces};
pub use lives::{Fates, Lives};
pub use mounts::{Mounts, mount_of, of_id};
pub use named::{FileId, born, file_id, socket_at};
pub use root::Root;
