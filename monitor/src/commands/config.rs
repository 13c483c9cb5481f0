//! `bypassd config`

use super::{CommandError, add_running, print};
use crate::cli::Config;
use crate::config;
use crate::event::text::escaped;
use crate::exit::Exit;
use crate::node::Root;

pub(super) fn config(opts: &Config) -> Result<Exit, CommandError> {
    match opts {
        Config::Validate { file } => {
            let config = config::load(Some(file))?;
            let name = escaped(&file.to_string_lossy());
            let warnings = config::warnings(config.rules.iter().map(|entry| &entry.value), |_| None);
            let warnings: String =
                warnings.iter().map(|warning| format!("{name}: mind: {warning}\n")).collect();
            print(&format!(
                "{}: valid; {} targets, {} rules, sha256 {}\n{warnings}",
                name,
                config.targets.len(),
                config.rules.len(),
                config.sha256
            ))
        }
        Config::Show { config, effective } => {
            let mut config = config::load(config.as_deref())?;
            if *effective && config.discover {
                let root = Root::here().map_err(CommandError::Root)?;
                add_running(&mut config, &root);
            }
            print(&config.to_yaml())
        }
    }
}
