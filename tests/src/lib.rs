//! End-to-end tests: the real daemon on a real kernel, with real actors. [`scenarios`] holds the tests, the other modules what
//! they are written with.

pub mod actor;
pub mod daemon;
pub mod daemonset;
pub mod event;
pub mod node;
pub mod scenarios;
pub mod tables;
