//! From targets to what the kernel watches. A target is armed only by what the kernel itself showed of its object.

mod arm;
mod notice;
mod plan;
mod prove;

pub use notice::{Interest, Notices};
pub use plan::{Plan, State, plan};
pub use prove::{Proof, prove};
