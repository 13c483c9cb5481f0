//! The node the daemon runs on, seen from outside any container: its root, namespaces and addresses.

mod addresses;
pub mod executables;
mod identity;
pub mod root;

pub use addresses::addresses;
pub use identity::{Identity, Namespaces};
pub use root::Root;
