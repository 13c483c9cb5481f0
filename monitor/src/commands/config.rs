//! `bypassd config`

use super::{CommandError, print};
use crate::cli::Config;
use crate::config;
use crate::event::text::escaped;
use crate::exit::Exit;

pub(super) fn config(opts: &Config) -> Result<Exit, CommandError> {
    match opts {
        Config::Validate { file } => {
            let config = config::load(Some(file))?;
            print(&format!(
                "{}: valid; {} targets, {} rules, sha256 {}\n",
                escaped(&file.to_string_lossy()),
                config.targets.len(),
                config.rules.len(),
                config.sha256
            ))
        }
        Config::Show { config } => print(&config::load(config.as_deref())?.to_yaml()),
    }
}
