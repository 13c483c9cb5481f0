//! The tests: one file a subject.

mod backends;
mod bad_input;
mod changes;
mod commands;
mod containers;
mod directory;
mod doors;
mod explain;
mod files;
mod flood;
mod inbound;
mod keys;
mod lifecycle;
mod lockdown;
mod manifests;
mod many;
mod policy;
mod ports;
mod real;
mod reload;
mod selftest;
mod snapshot;
mod sockets;
mod stalled;
mod takeover;
mod uring;
mod ways;

use anyhow::Result;
use libtest_mimic::{Completion, Failed, Trial};
use thiserror::Error;

/// Every test there is for this kernel.
pub fn all() -> Vec<Trial> {
    if lockdown::is_on() {
        return lockdown::all();
    }
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
        explain::all(),
        reload::all(),
        manifests::all(),
        many::all(),
        flood::all(),
        takeover::all(),
        inbound::all(),
        uring::all(),
        ways::all(),
        selftest::all(),
        lifecycle::all(),
        snapshot::all(),
        commands::all(),
        bad_input::all(),
        real::all(),
        stalled::all(),
        containers::all(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

type Test = fn() -> Result<()>;

/// What a kernel must have for a test and does not.
#[derive(Debug, Error)]
#[error("SKIP: {0}")]
struct Skip(&'static str);

/// Names and functions as tests.
fn trials(subject: &str, tests: &[(&str, Test)]) -> Vec<Trial> {
    tests.iter().map(|(name, test)| trial(subject, name, *test)).collect()
}

fn trial(subject: &str, name: &str, test: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    Trial::ignorable_test(format!("{subject}::{name}"), move || match test() {
        Ok(()) => Ok(Completion::Completed),
        Err(error) => match error.downcast_ref::<Skip>() {
            Some(skip) => Ok(Completion::ignored_with(skip)),
            None => Err(Failed::from(format!("{error:?}"))),
        },
    })
}

/// The end-to-end program, which started the actors.
fn own_exe() -> Result<String> {
    Ok(std::env::current_exe()?.to_string_lossy().into_owned())
}
