//! Everything that reads bytes which others chose, as functions that take any bytes. None may panic, hang or break the promise that
//! it checks.
//!
//! Each has a program for libFuzzer in `fuzz_targets/` and inputs in `corpus/`. Without `cfg(fuzzing)` the program runs the files that
//! it is given, and the tests run the whole corpus.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a panic is how a fuzz target says that it found something"
)]

mod btf;
mod bundle;
mod cgroup;
mod config;
mod decode;
mod event;
mod fanotify;
mod glob;
mod learn;
mod manifest;
mod mounts;
mod posture;
mod recorded;
mod report;
mod running;

pub use btf::btf;
pub use bundle::bundle;
pub use cgroup::cgroup;
pub use config::config;
pub use decode::decode;
pub use event::event;
pub use fanotify::fanotify;
pub use glob::glob;
pub use learn::learn;
pub use manifest::manifest;
pub use mounts::mounts;
pub use posture::posture;
pub use recorded::recorded;
pub use report::report;
pub use running::running;

/// The main function of a fuzz target.
#[macro_export]
macro_rules! target {
    ($target:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::$target(data));

        #[cfg(not(fuzzing))]
        fn main() -> std::io::Result<()> {
            std::env::args_os().skip(1).try_for_each(|file| Ok($crate::$target(&std::fs::read(file)?)))
        }
    };
}

#[cfg(test)]
mod tests;
