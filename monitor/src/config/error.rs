//! What is wrong with a policy file, one line a problem.

use std::fmt;

use serde_saphyr::Location;
use thiserror::Error;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    place: Option<(u64, u64)>,
    what: String,
}

impl Problem {
    /// About the file as a whole.
    pub(super) fn whole(what: String) -> Self {
        Self { place: None, what }
    }

    pub(super) fn at(location: Location, what: String) -> Self {
        // Line 0 stands for an unknown place.
        let place = (location.line() > 0).then(|| (location.line(), location.column()));
        Self { place, what }
    }

    pub(super) fn place(&self) -> Option<(u64, u64)> {
        self.place
    }
}

/// Every mistake that was found, each as `FILE:LINE:COLUMN: what is wrong; what to write`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct ConfigErrors {
    file: String,
    problems: Vec<Problem>,
}

impl ConfigErrors {
    pub(super) fn new(file: &str, problems: Vec<Problem>) -> Self {
        Self { file: file.to_owned(), problems }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, problems } = self;
        for (index, Problem { place, what }) in problems.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            match place {
                Some((line, column)) => write!(f, "{newline}{file}:{line}:{column}: {what}")?,
                None => write!(f, "{newline}{file}: {what}")?,
            }
        }
        Ok(())
    }
}
