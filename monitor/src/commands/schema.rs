//! `bypassd schema`

use super::{CommandError, print};
use crate::event;
use crate::exit::Exit;

pub(super) fn schema() -> Result<Exit, CommandError> {
    print(&format!("{:#}\n", event::schema::schema()))
}
