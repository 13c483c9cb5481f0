//! In which shape events are written.

use std::io::IsTerminal as _;

use anstream::ColorChoice;
use serde_json::Value;

use super::{ecs, falco, ocsf};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Native,
    /// The same in the words of others.
    Shaped(Shape),
    /// For people.
    Text(Look),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    pub colour: bool,
    /// Those who started a process as a tree, not in one line.
    pub tree: bool,
}

/// A schema of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Ecs,
    Ocsf(Alerts),
    Falco,
}

/// As what OCSF has alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alerts {
    /// As what was done, with a note that it is an alert.
    Activity,
    /// As a Detection Finding with what was done as its evidence.
    Finding,
}

impl Shape {
    /// A native event in this shape.
    pub fn of(self, event: Value) -> Value {
        match self {
            Self::Ecs => ecs::event(event),
            Self::Ocsf(alerts) => ocsf::event(event, alerts),
            Self::Falco => falco::event(event),
        }
    }
}

impl Format {
    /// Text on a terminal, JSON into a pipe.
    pub fn for_stdout(tree: bool) -> Self {
        if std::io::stdout().is_terminal() { Self::text(tree) } else { Self::Native }
    }

    /// Coloured on a terminal, unless the environment says otherwise (`NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE`).
    pub fn text(tree: bool) -> Self {
        let colour = anstream::AutoStream::choice(&std::io::stdout()) != ColorChoice::Never;
        Self::Text(Look { colour, tree })
    }
}
