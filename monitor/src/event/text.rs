//! Bytes that anyone may have chosen, as text: lossless in JSON, harmless on a terminal.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Text with U+FFFD for what is not UTF-8, and then the exact bytes in base64.
pub fn lossless(bytes: &[u8]) -> (String, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (String::from_utf8_lossy(bytes).into_owned(), Some(STANDARD.encode(bytes))),
    }
}

/// The same for a list: when one element is not UTF-8, all are given in base64 too.
pub fn lossless_list(list: &[Vec<u8>]) -> (Vec<String>, Option<Vec<String>>) {
    let text = list.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
    let exact = list
        .iter()
        .any(|bytes| std::str::from_utf8(bytes).is_err())
        .then(|| list.iter().map(|bytes| STANDARD.encode(bytes)).collect());
    (text, exact)
}

/// Text in which nothing moves the cursor, changes colours, breaks the line or turns the reading direction.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            char if char.is_control() || is_invisible(char) => {
                // Writing to a String cannot fail.
                let _infallible = write!(out, "\\u{{{:x}}}", u32::from(char));
            }
            char => out.push(char),
        }
    }
    out
}

pub fn escaped_bytes(bytes: &[u8]) -> String {
    escaped(&String::from_utf8_lossy(bytes))
}

/// Formatting characters: direction marks, joiners, separators, tags.
/// <https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing>
fn is_invisible(char: char) -> bool {
    matches!(char,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_utf8_is_kept_in_base64() {
        assert_eq!(lossless(b"plain"), ("plain".to_owned(), None));
        assert_eq!(lossless(b"a\xffb"), ("a\u{fffd}b".to_owned(), Some("Yf9i".to_owned())));
        let (text, exact) = lossless_list(&[b"a".to_vec(), b"\xff".to_vec()]);
        assert_eq!(text, ["a", "\u{fffd}"]);
        assert_eq!(exact.unwrap(), ["YQ==", "/w=="]);
    }

    #[test]
    fn nothing_reaches_a_terminal_unescaped() {
        let hostile = "a\u{1b}[31m\r\n\u{202e}txt\u{9b}\u{7f}\\";
        assert_eq!(escaped(hostile), "a\\u{1b}[31m\\u{d}\\n\\u{202e}txt\\u{9b}\\u{7f}\\\\");
    }
}
