//! The node the daemon runs on, seen from outside any container: its root, namespaces and addresses.

mod addresses;
mod namespaces;
pub mod root;

pub use addresses::addresses;
pub use namespaces::Namespaces;
pub use root::Root;
