//! What all formats ask of a native event.

use serde_json::Value;

use super::parts::{Parts, split};
use super::table::Thing;
use crate::model::{Action, Severity};

pub(super) fn action(event: &Parts) -> Option<Action> {
    known(event.get("/action"))
}

pub(super) fn thing(event: &Parts) -> Option<Thing> {
    Thing::named(event.text("/target/type"))
}

pub(super) fn severity(event: &Parts) -> Severity {
    known(event.get("/severity")).unwrap_or(Severity::Info)
}

fn known<T: serde::de::DeserializeOwned>(value: Option<&Value>) -> Option<T> {
    serde_json::from_value(value?.clone()).ok()
}

/// Of a `lifecycle` or `health` event; empty for others.
pub(super) fn state(event: &Parts) -> &str {
    match event.text("/lifecycle/state") {
        "" => event.text("/health/state"),
        state => state,
    }
}

pub(super) fn is_violation(event: &Parts) -> bool {
    event.text("/verdict/result") == "violation"
}

/// Whether it is about a connection, and not about the socket's name.
pub(super) fn is_connection(action: Action) -> bool {
    matches!(action, Action::Connect | Action::Accept | Action::Receive)
}

/// Of an executable, or how the process calls itself where that is not known.
pub(super) fn name(event: &Parts, process: &str) -> String {
    match split(event.text(&format!("{process}/exe"))) {
        (_, "") => event.text(&format!("{process}/comm")).to_owned(),
        (_, name) => name.to_owned(),
    }
}
