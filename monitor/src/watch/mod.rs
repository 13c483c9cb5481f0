//! From targets to what the kernel watches. A target is armed only by what the kernel itself showed of its object.

mod arm;
mod keeper;
mod notice;
mod number;
mod owner;
mod place;
mod plan;
mod prove;
mod socket;
mod targets;
mod tree;

pub use keeper::{Change, Keeper, WatchError};
pub use place::{Hint, above, beneath};
pub use plan::{Plan, State};
pub use prove::{Proofs, prove};
