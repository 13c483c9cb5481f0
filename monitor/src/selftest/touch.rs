//! What a child does: goes one way, and says when.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::scene::Place;
use super::ways::WAYS;

/// On the child's stdout, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Done {
        /// Just before the access, in nanoseconds since boot.
        before: u64,
    },
    Refused {
        why: String,
    },
}

/// Goes a way of a scene; `None` if there is no such way.
pub fn touch(id: &str, dir: &Path, port: u16) -> Option<Answer> {
    let way = WAYS.iter().find(|way| way.id == id)?;
    let place = Place { dir: dir.to_owned(), id: way.id, port };
    Some(match (way.act)(&place) {
        Ok(before) => Answer::Done { before },
        Err(error) => Answer::Refused { why: error.to_string() },
    })
}
