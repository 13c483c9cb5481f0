//! The end-to-end tests, as one program that runs natively and in guests. One at a time: they share the kernel.

use libtest_mimic::Arguments;
use tests::scenarios;

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, scenarios::all()).exit();
}
