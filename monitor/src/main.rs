//! bypassd: shows who goes around the Kubernetes API server on a node.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use monitor::cli::Opts;
use monitor::{commands, logging};

fn main() -> ExitCode {
    let opts = Opts::parse();
    logging::init(opts.verbose);
    match commands::dispatch(&opts.command, opts.verbose > 0) {
        Ok(exit) => exit.into(),
        Err(commands::CommandError::Closed) => ExitCode::SUCCESS,
        Err(error) => {
            let mut stderr = io::stderr().lock();
            for line in error.to_string().lines() {
                // Where nobody reads stderr, the exit code still says it; `eprintln!` would panic.
                let _unheard = writeln!(stderr, "bypassd: {line}");
            }
            error.exit().into()
        }
    }
}
