//! Diagnostics, on stderr only: stdout belongs to events.

use std::env;
use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

/// Variable that chooses what is logged, as `monitor=debug`.
const VARIABLE: &str = "BYPASSD_LOG";

pub fn init(verbose: u8) {
    let level = match verbose {
        // What a library warns of is part of an error that follows, or nothing a user can act on.
        0 => "monitor=warn,bypassd=warn,error",
        1 => "info",
        2 => "monitor=debug,bypassd_ebpf=debug,info",
        _ => "debug",
    };
    let (filter, wrong) = match env::var(VARIABLE).map(EnvFilter::try_new) {
        Ok(Ok(filter)) => (filter, None),
        Ok(Err(error)) => (EnvFilter::new(level), Some(error)),
        Err(_) => (EnvFilter::new(level), None),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .compact()
        .init();
    if let Some(error) = wrong {
        tracing::warn!("{VARIABLE} is ignored: {error}; write it as monitor=debug");
    }
}
