//! Strings that anyone may have chosen, in a page: each character that cannot be seen is spelled out, and none has a meaning in HTML.

use std::fmt::Write as _;

use crate::event::text::{escaped, harmless};

/// An event has at most 8 KiB; longer strings are nobody's honest ones.
const LONGEST: usize = 2048;

/// Spelled out, and not too long. What was recorded can be told from it, but for what is cut off.
pub fn shown(text: &str) -> String {
    if text.len() <= LONGEST {
        return escaped(text);
    }
    format!("{}… ({} bytes)", escaped(&text[..text.floor_char_boundary(LONGEST)]), text.len())
}

/// The same for a sentence of the daemon's, in which others' words are spelled out already.
pub fn said(text: &str) -> String {
    harmless(&text[..text.floor_char_boundary(LONGEST)])
}

/// Appends it as text of an element, or as the value of an attribute in quotes.
pub fn html(out: &mut String, text: &str) {
    for char in harmless(text).chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            char => out.push(char),
        }
    }
}

/// Appends it as a JSON string that no parser of HTML, and no JavaScript, ends early.
pub fn json(out: &mut String, text: &str) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '<' | '>' | '&' | '\'' | '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
                // Writing to a String cannot fail.
                let _infallible = write!(out, "\\u{:04x}", u32::from(char));
            }
            char => out.push(char),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn html_of(text: &str) -> String {
        let mut out = String::new();
        html(&mut out, text);
        out
    }

    fn json_of(text: &str) -> String {
        let mut out = String::new();
        json(&mut out, text);
        out
    }

    #[test]
    fn nothing_is_an_element_or_an_entity() {
        assert_eq!(
            html_of("</td><script>alert('1')</script>&amp;\""),
            "&lt;/td&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;amp;&quot;"
        );
    }

    #[test]
    fn what_cannot_be_seen_is_spelled_out() {
        for char in "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\u{2028}\u{2029}\u{200b}\u{feff}\u{1b}\u{9b}\0\r".chars()
        {
            let spelled = format!("a\\u{{{:x}}}b", u32::from(char));
            assert_eq!(shown(&format!("a{char}b")), spelled);
            assert_eq!(html_of(&format!("a{char}b")), spelled);
        }
        assert_eq!(shown("a\\u{202e}"), "a\\\\u{202e}");
        assert_eq!(html_of(&shown("C:\\a\n")), "C:\\\\a\\n");
    }

    #[test]
    fn long_strings_are_cut_between_characters() {
        let text = "é".repeat(LONGEST);
        let cut = shown(&text);
        assert!(cut.ends_with("… (4096 bytes)") && cut.len() < LONGEST + 32);
        assert!(said(&text).len() <= LONGEST);
    }

    #[test]
    fn no_string_ends_the_block_it_is_in() {
        let text = json_of("</script><!--<script>]]>\u{2028}\u{2029}&'\u{7f}\u{9b}");
        assert!(text.is_ascii() && !text.contains(['<', '>', '&', '\'']), "{text}");
    }

    proptest! {
        #[test]
        fn json_reads_back(text in any::<String>()) {
            let json = json_of(&text);
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            let ends = ['<', '>', '&', '\u{2028}', '\u{2029}'];
            prop_assert!(!json.contains(ends));
        }

        #[test]
        fn html_has_no_markup(text in any::<String>()) {
            let html = html_of(&text);
            prop_assert!(!html.contains(['<', '>', '"', '\'']) && !html.chars().any(char::is_control));
        }
    }
}
