//! `bypassd touch`, which only `selftest` calls.

use super::{CommandError, print};
use crate::cli::Touch;
use crate::exit::Exit;
use crate::selftest::{Ports, touch};

pub(super) fn run(opts: &Touch) -> Result<Exit, CommandError> {
    let Touch { way, dir, open, closed, second } = opts;
    let ports = Ports { open: *open, closed: *closed };
    match touch(way, dir, ports, *second).map(|answer| serde_json::to_string(&answer)) {
        Some(Ok(answer)) => print(&answer),
        Some(Err(_)) | None => Ok(Exit::Usage),
    }
}
