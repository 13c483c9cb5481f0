//! The soak test, which is too long for every run of the tests.

use anyhow::Result;

use crate::e2e;

#[derive(clap::Args)]
pub struct Args {
    /// How long
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
}

pub fn run(args: &Args) -> Result<()> {
    let seconds = args.minutes.saturating_mul(60);
    let filter = ["soak::", "--nocapture"].map(str::to_owned);
    e2e::run_with(&filter, &[("BYPASSD_SOAK_SECONDS", seconds.to_string())])
}
