//! YAML to the file model. No part of the file is quoted in a message beyond the word that is wrong.

use serde_saphyr::Error;

use super::error::Problem;
use super::file::File;

pub(super) fn parse(text: &str) -> Result<File, Problem> {
    serde_saphyr::from_str(text).map_err(|error| {
        let error = error.without_snippet();
        let what = describe(error);
        match error.location() {
            Some(location) => Problem::at(location, what),
            None => Problem::whole(what),
        }
    })
}

fn describe(error: &Error) -> String {
    match error {
        Error::SerdeUnknownField { field, expected, .. } => unknown("key", field, expected),
        Error::SerdeUnknownVariant { variant, expected, .. } => unknown("word", variant, expected),
        Error::SerdeMissingField { field, .. } => format!("`{field}` is missing here; add it"),
        Error::SerdeInvalidType { unexpected, expected, .. }
        | Error::SerdeInvalidValue { unexpected, expected, .. } => {
            format!("{unexpected} cannot stand here; write {expected}")
        }
        Error::DuplicateMappingKey { key, .. } => {
            format!(
                "the key {}is given twice; keep one",
                key.as_ref().map(|key| format!("`{key}` ")).unwrap_or_default()
            )
        }
        Error::Eof { .. } => "the file is empty; write at least `version: 1`".to_owned(),
        other => {
            let text = other.to_string();
            // The place comes first in our messages.
            let text = text.split(" at line ").next().unwrap_or(&text);
            format!("{text}; see `bypassd config show` for a policy that is right")
        }
    }
}

fn unknown(kind: &str, found: &str, known: &[&str]) -> String {
    let hint = match nearest(found, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known are {}", known.join(", ")),
    };
    format!("unknown {kind} `{}`; {hint}", crate::event::text::escaped(found))
}

/// The known word that is at most two edits away.
fn nearest<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().map(|word| (distance(found, word), *word)).min()?;
    (near.0 <= 2 && near.0 < near.1.len()).then_some(near.1)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let change = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_suggested() {
        assert_eq!(nearest("exes", &["exe", "uid"]), Some("exe"));
        assert_eq!(nearest("xyzzy", &["exe", "uid"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
