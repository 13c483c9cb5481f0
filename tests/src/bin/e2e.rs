//! The end-to-end tests, as one program that runs natively and in guests.

use libtest_mimic::{Arguments, Trial};

fn main() {
    let trials = vec![Trial::test("harness", || Ok(()))];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
