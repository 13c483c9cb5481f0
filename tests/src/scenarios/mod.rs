//! The tests: one file a subject.

mod backends;
mod bad_input;
mod changes;
mod commands;
mod directory;
mod doors;
mod files;
mod keys;
mod lifecycle;
mod many;
mod policy;
mod ports;
mod real;
mod sockets;

use anyhow::Result;
use libtest_mimic::{Failed, Trial};

/// Every test there is.
pub fn all() -> Vec<Trial> {
    [
        files::all(),
        changes::all(),
        directory::all(),
        doors::all(),
        keys::all(),
        backends::all(),
        sockets::all(),
        ports::all(),
        policy::all(),
        many::all(),
        lifecycle::all(),
        commands::all(),
        bad_input::all(),
        real::all(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

type Test = fn() -> Result<()>;

/// Names and functions as tests.
fn trials(subject: &str, tests: &[(&str, Test)]) -> Vec<Trial> {
    tests
        .iter()
        .map(|(name, test)| {
            let test = *test;
            Trial::test(format!("{subject}::{name}"), move || {
                test().map_err(|error| Failed::from(format!("{error:?}")))
            })
        })
        .collect()
}

/// The end-to-end program, which started the actors.
fn own_exe() -> Result<String> {
    Ok(std::env::current_exe()?.to_string_lossy().into_owned())
}
