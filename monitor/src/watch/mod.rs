//! From targets to what the kernel watches. A target is armed only by what the kernel itself showed of its object.

mod arm;
mod keeper;
mod notice;
mod plan;
mod prove;

pub use keeper::{Change, Keeper, WatchError};
pub use plan::State;
pub use prove::{Proof, prove};
