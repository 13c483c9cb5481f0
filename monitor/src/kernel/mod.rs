//! The kernel side as the daemon holds it: loaded programs, their maps, and what they answer.

mod answer;
mod attach;
mod backend;
mod calm;
mod doers;
mod embedded;
mod freeze;
mod hooks;
pub mod listen;
mod load;
mod log;
mod object;
mod preempt;
mod repair;
mod repeats;
mod stats;
mod table;

pub use answer::Answer;
pub use backend::{Attached, Candidate, HookReport, HookState};
pub use calm::Calm;
pub use doers::Kinds;
pub use object::{DEFAULT_WINDOW, Kernel, LoadError};
pub use stats::Counters;
pub use table::{Desired, TableError};
