//! `bypassd touch`, which only `selftest` calls.

use super::{CommandError, print};
use crate::cli::Touch;
use crate::exit::Exit;
use crate::selftest::touch;

pub(super) fn run(opts: &Touch) -> Result<Exit, CommandError> {
    match touch(&opts.way, &opts.dir, opts.port).map(|answer| serde_json::to_string(&answer)) {
        Some(Ok(answer)) => print(&answer),
        Some(Err(_)) | None => Ok(Exit::Usage),
    }
}
