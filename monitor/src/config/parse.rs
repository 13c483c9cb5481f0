//! YAML to the file model. No part of the file is quoted in a message beyond the word that is wrong.

use serde_saphyr::Error;

use super::error::Problem;
use super::file::File;
use crate::event::text::escaped;

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
            format!("{} cannot stand here; write {}", quoted(unexpected), wanted(expected))
        }
        Error::InvalidScalar { ty, .. } => format!("this value cannot stand here; write {}", wanted(ty)),
        Error::InvalidBooleanStrict { .. } => "this value cannot stand here; write true or false".to_owned(),
        Error::NullIntoString { .. } => {
            "a value is missing here; write text, in quotes if need be".to_owned()
        }
        Error::Unexpected { expected, .. } => {
            format!("this cannot stand here; write {}", wanted(expected))
        }
        Error::MultipleDocuments { .. } => "a second document begins here; keep one".to_owned(),
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_ref().map(|key| format!("`{}` ", quoted(key))).unwrap_or_default();
            format!("the key {key}is given twice; keep one")
        }
        Error::Eof { .. } => "the file is empty; write at least `version: 1`".to_owned(),
        other => {
            let text = other.to_string();
            // The place comes first in our messages.
            let text = text.split(" at line ").next().unwrap_or(&text);
            format!("{}; see `bypassd config show` for a policy that is right", escaped(text))
        }
    }
}

/// What the library calls a type, in words of people who write policies.
fn wanted(expected: &str) -> &str {
    match expected {
        "u64" | "i64" => "a whole number",
        "u32" => "a whole number from 0 to 4294967295",
        "bool" | "boolean" => "true or false",
        "mapping start" => "keys with values, as `key: value`",
        "sequence start" => "a list, as [a, b], or leave the key out",
        "a string" | "string" => "text",
        "string scalar" | "scalar" => "one value",
        other => other,
    }
}

fn unknown(kind: &str, found: &str, known: &[&str]) -> String {
    let hint = nearest(found, known).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    format!("unknown {kind} `{}`; {hint}known here: {}", quoted(found), known.join(", "))
}

/// One line, and no more of a file than shows which word is meant: it may be another file than was meant.
fn quoted(text: &str) -> String {
    const SHOWN: usize = 40;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    escaped(&shown)
}

/// The known word that is at most two edits away, one for every three letters.
fn nearest<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    // The distance is quadratic in what anyone wrote.
    let found: String = found.chars().take(64).collect();
    let (edits, word) = known.iter().map(|word| (distance(&found, word), *word)).min()?;
    (edits <= (word.len() / 3).min(2)).then_some(word)
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
        assert_eq!(nearest("unit", &["exe", "uid"]), None);
        assert_eq!(nearest("kubeadmin", &["auto", "kubeadm"]), Some("kubeadm"));
        assert_eq!(nearest("xyzzy", &["exe", "uid"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn little_of_a_file_is_quoted() {
        let secret = "s".repeat(500);
        let problem = unknown("key", &secret, &["version"]);
        assert!(problem.starts_with(&format!("unknown key `{}…`", "s".repeat(40))), "{problem}");
        assert_eq!(quoted("a\nb"), "a\\nb");
    }
}
