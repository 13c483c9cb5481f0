//! The daemon. The modules follow the way of one access:
//! hook (kernel) → `ring` → `decode` → `enrich` → `decide` → `emit`.

pub mod access;
pub mod btf;
pub mod decode;
pub mod kernel;
pub mod model;
pub mod node;
pub mod ring;
pub mod target;
pub mod verdict;
pub mod watch;
