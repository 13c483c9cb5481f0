//! The end-to-end tests, as one program that runs natively and in guests. One at a time: they share the kernel.

use libtest_mimic::Arguments;
use tests::{daemon, scenarios};

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let conclusion = libtest_mimic::run(&arguments, scenarios::all());
    // What a filter left running.
    if let Err(error) = daemon::end_idle() {
        eprintln!("the last daemon: {error:?}");
    }
    println!("seconds by subject: {}", scenarios::times());
    conclusion.exit();
}
