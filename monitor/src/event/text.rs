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

/// Text in which nothing moves the cursor, changes colours, breaks the line or turns the reading direction, and from which the
/// original can be told: a backslash is doubled.
pub fn escaped(text: &str) -> String {
    harmless(&text.replace('\\', "\\\\"))
}

/// The same but for backslashes, so that text which is escaped already stays as it is.
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
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

/// Cuts a long string to its first half, on a character's boundary; says whether it was long.
pub(super) fn halve(text: &mut String) -> bool {
    const SHORT: usize = 64;
    if text.len() <= SHORT {
        return false;
    }
    text.truncate(text.floor_char_boundary(text.len() / 2));
    true
}

/// What shows as nothing or as a space that is none, or changes what is around it: Unicode's default-ignorable, format, separator
/// and private-use characters.
/// <https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing>
fn is_invisible(char: char) -> bool {
    matches!(char,
        '\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
        | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{1680}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{2800}' | '\u{3000}' | '\u{3164}'
        | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{10ffff}')
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
        assert_eq!(harmless(&escaped(hostile)), escaped(hostile));
    }

    /// C0, DEL and C1, which terminals take as commands, and all that turns the reading direction.
    #[test]
    fn every_control_and_every_direction_mark_is_spelled_out() {
        let controls = ('\0'..='\u{1f}').chain('\u{7f}'..='\u{9f}').filter(|char| !"\n\t".contains(*char));
        let directions =
            "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
        for char in controls.chain(directions.chars()) {
            let spelled = format!("a\\u{{{:x}}}b", u32::from(char));
            assert_eq!(escaped(&format!("a{char}b")), spelled);
            assert_eq!(harmless(&format!("a{char}b")), spelled);
        }
    }

    #[test]
    fn what_cannot_be_seen_is_spelled_out_and_writing_is_not() {
        for char in
            "\u{a0}\u{34f}\u{200b}\u{2066}\u{2800}\u{3164}\u{e000}\u{fe0f}\u{fff9}\u{e0041}\u{e0100}".chars()
        {
            assert_eq!(escaped(&char.to_string()), format!("\\u{{{:x}}}", u32::from(char)));
        }
        for text in
            ["caf\u{65}\u{301}", "\u{65e5}\u{672c}", "\u{5e2}\u{5d1}", "\u{fffd}", "a b/c'd\"e", "\u{1f600}"]
        {
            assert_eq!(escaped(text), text);
        }
    }
}
