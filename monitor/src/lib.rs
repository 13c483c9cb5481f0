//! The daemon. The modules follow the way of one access:
//! hook (kernel) → `ring` → `decode` → `enrich` → `decide` → `emit`.

pub mod access;
pub mod btf;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod coverage;
pub mod decide;
pub mod decode;
pub mod emit;
pub mod enrich;
pub mod event;
pub mod exe_hash;
pub mod exit;
#[doc(hidden)]
pub mod fuzzing;
pub mod glob;
pub mod hash;
pub mod identity;
pub mod kernel;
pub mod learn;
pub mod logging;
pub mod manifest;
pub mod memory;
pub mod model;
pub mod node;
pub mod pipeline;
pub mod posture;
mod privileges;
pub mod replay;
pub mod report;
pub mod ring;
pub mod running;
pub mod selftest;
pub mod snapshot;
mod status;
pub mod target;
pub mod told;
pub mod verdict;
pub mod view;
pub mod watch;
