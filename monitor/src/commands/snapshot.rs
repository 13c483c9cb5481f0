//! `bypassd snapshot`: a run that ends when it has looked at what is held.

use std::time::Duration;

use super::{CommandError, run};
use crate::cli::{Run, Snapshot};
use crate::exit::Exit;

pub(super) fn snapshot(opts: &Snapshot, tree: bool) -> Result<Exit, CommandError> {
    let Snapshot { config, format, ocsf_class, output, show_allowed } = opts;
    let run = Run {
        // The end waits for the look that every run begins with.
        duration: Some(Duration::ZERO),
        format: *format,
        ocsf_class: *ocsf_class,
        output: output.clone(),
        exit_code: true,
        show_allowed: *show_allowed,
        ..Run::by(config.clone())
    };
    run::run(&run, tree)
}
