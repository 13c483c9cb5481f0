//! The tests: one file a subject.

mod actors;
mod backends;
mod bad_input;
mod changes;
mod collect;
mod commands;
mod containers;
mod directory;
mod dist;
mod doors;
mod explain;
mod file_systems;
mod files;
mod flood;
mod identity;
mod image;
mod inbound;
mod keys;
mod learn;
mod lifecycle;
mod lockdown;
mod manifests;
mod many;
mod operations;
mod output;
mod policy;
mod ports;
mod posture;
mod privileges;
mod quiet;
mod real;
mod reload;
mod report;
mod running;
mod selftest;
mod served;
mod shippers;
mod snapshot;
mod soak;
mod sockets;
mod stalled;
mod takeover;
mod unit;
mod uring;
mod view;
mod ways;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use libtest_mimic::{Completion, Failed, Trial};
use thiserror::Error;

use crate::node::is_guest_of_systemd;

/// Every test there is for this kernel.
pub fn all() -> Vec<Trial> {
    if lockdown::is_on() {
        return lockdown::all();
    }
    if is_guest_of_systemd() {
        return unit::all();
    }
    [
        files::all(),
        file_systems::all(),
        changes::all(),
        directory::all(),
        doors::all(),
        keys::all(),
        backends::all(),
        sockets::all(),
        ports::all(),
        operations::all(),
        output::all(),
        policy::all(),
        identity::all(),
        actors::all(),
        explain::all(),
        learn::all(),
        reload::all(),
        running::all(),
        posture::all(),
        report::all(),
        collect::all(),
        manifests::all(),
        many::all(),
        flood::all(),
        takeover::all(),
        inbound::all(),
        uring::all(),
        ways::all(),
        selftest::all(),
        lifecycle::all(),
        privileges::all(),
        snapshot::all(),
        commands::all(),
        bad_input::all(),
        real::all(),
        stalled::all(),
        containers::all(),
        image::all(),
        dist::all(),
        shippers::all(),
        quiet::all(),
        soak::all(),
        served::all(),
        view::all(),
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
    let own = subject.to_owned();
    Trial::ignorable_test(format!("{subject}::{name}"), move || {
        let result = timed(own, test);
        match result {
            Ok(()) => Ok(Completion::Completed),
            Err(error) => match error.downcast_ref::<Skip>() {
                Some(skip) => Ok(Completion::ignored_with(skip)),
                None => Err(Failed::from(format!("{error:?}"))),
            },
        }
    })
}

/// What the tests of each subject took.
static TIMES: Mutex<BTreeMap<String, Duration>> = Mutex::new(BTreeMap::new());

fn timed<T>(subject: String, test: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let result = test();
    *TIMES.lock().unwrap_or_else(PoisonError::into_inner).entry(subject).or_default() += begin.elapsed();
    result
}

/// Where the time went: the subjects that took longest, in seconds.
pub fn times() -> String {
    let times = TIMES.lock().unwrap_or_else(PoisonError::into_inner);
    let mut times: Vec<_> = times.iter().map(|(subject, time)| (time.as_secs_f64(), subject)).collect();
    times.sort_by(|one, other| other.0.total_cmp(&one.0));
    let words: Vec<_> = times.iter().take(12).map(|(time, subject)| format!("{subject} {time:.1}")).collect();
    words.join(", ")
}

/// The end-to-end program, which started the actors.
fn own_exe() -> Result<String> {
    Ok(std::env::current_exe()?.to_string_lossy().into_owned())
}
