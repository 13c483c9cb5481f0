//! In which shape events are written.

use std::io::IsTerminal as _;

use anstream::ColorChoice;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Native,
    /// For people.
    Text { colour: bool },
}

impl Format {
    /// Text on a terminal, JSON into a pipe.
    pub fn for_stdout() -> Self {
        if std::io::stdout().is_terminal() { Self::text() } else { Self::Native }
    }

    /// Coloured on a terminal, unless the environment says otherwise (`NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE`).
    pub fn text() -> Self {
        let colour = anstream::AutoStream::choice(&std::io::stdout()) != ColorChoice::Never;
        Self::Text { colour }
    }
}
