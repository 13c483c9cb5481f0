//! The soak test, whose length is a choice.

use anyhow::Result;

use crate::e2e;

#[derive(clap::Args)]
pub struct Args {
    /// How long
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
}

impl Args {
    /// Long enough for each disturbance to come some times.
    pub fn short() -> Self {
        Self { minutes: 2 }
    }
}

pub fn run(args: &Args) -> Result<()> {
    let seconds = args.minutes.saturating_mul(60);
    let filter = ["soak::", "--nocapture"].map(str::to_owned);
    e2e::run_as("soak", &filter, &[("BYPASSD_SOAK_SECONDS", seconds.to_string())])
}
