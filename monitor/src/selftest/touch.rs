//! What a child does: goes one way, and says when.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::place::{Place, Ports};
use super::ways::ways;
use crate::clock;

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

/// Goes a way of a scene, or does what a second process does with a descriptor; `None` if there is no such way.
pub fn touch(id: &str, dir: &Path, ports: Ports, second: Option<i32>) -> Option<Answer> {
    let way = ways().find(|way| way.id == id)?;
    let place = Place { dir: dir.to_owned(), id: way.id, ports };
    let done = match second {
        None => (way.act)(&place),
        Some(fd) => way.second?(fd).map(|()| clock::since_boot()),
    };
    Some(match done {
        Ok(before) => Answer::Done { before },
        Err(error) => Answer::Refused { why: error.to_string() },
    })
}
