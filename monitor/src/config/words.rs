//! Text of a rule that names, units and command lines are compared with.

use std::fmt;

use fast_glob::glob_match;

/// What else has a meaning to the library, and none here.
const SPECIAL: &str = "[]{}\\!";

/// Text in which `*` stands for anything and `?` for one character: a slash of an image is a character as any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words(String);

impl Words {
    /// A name. Says what to write instead of what cannot work.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        if let Some(char) = text.chars().find(|char| SPECIAL.contains(*char) || char.is_control()) {
            let char = char.escape_default();
            return Err(format!(
                "has `{char}` in it, which no name has; only `*` and `?` stand for something"
            ));
        }
        Self::line(text)
    }

    /// Any text, as a command line is.
    pub(crate) fn line(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty; write a name, or leave the field out for any".to_owned());
        }
        if text.contains("**") {
            return Err("has `**` in it; write `*`, which stands for slashes, too".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// It is no constraint.
    pub(super) fn is_anything(&self) -> bool {
        self.0.chars().all(|char| char == '*')
    }

    pub(crate) fn fits(&self, text: &str) -> bool {
        let mut pattern = String::with_capacity(self.0.len());
        for char in self.0.chars() {
            if SPECIAL.contains(char) {
                pattern.push('\\');
            }
            // Nothing has a zero byte in it, and to the library it is not the end of a directory's name.
            pattern.push(if char == '/' { '\0' } else { char });
        }
        glob_match(pattern, text.replace('/', "\0"))
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (words, text, fits) in [
            ("kube-system", "kube-system", true),
            ("kube-system", "kube-system-2", false),
            ("etcd-*", "etcd-node1", true),
            ("etcd-*", "my-etcd-node1", false),
            ("etcd-*", "etcd-", true),
            ("registry.k8s.io/etcd*", "registry.k8s.io/etcd:3.5.15-0", true),
            ("registry.k8s.io/*", "registry.k8s.io/a/b:1", true),
            ("*/etcd:*", "registry.k8s.io/x/etcd:3", true),
            ("*@sha256:abc", "registry.k8s.io/x/etcd@sha256:abc", true),
            ("*@sha256:abc", "registry.k8s.io/x/etcd@sha256:abd", false),
            ("registry?k8s.io/a", "registry.k8s.io/a", true),
            ("a?b", "a/b", true),
            ("*", "", true),
        ] {
            assert_eq!(Words::new(words).unwrap().fits(text), fits, "{words} {text}");
        }
    }

    #[test]
    fn what_cannot_work_says_why() {
        for (words, says) in
            [("", "is empty"), ("[ab]", "has `[`"), ("!a", "has `!`"), ("a**", "has `**`"), ("a\0", "has `")]
        {
            let error = Words::new(words).unwrap_err();
            assert!(error.starts_with(says), "{words}: {error}");
        }
    }

    #[test]
    fn a_command_line_has_any_characters() {
        for (words, text, fits) in [
            ("get *", "get /registry", true),
            ("--x={a,b} [c] !d \\e", "--x={a,b} [c] !d \\e", true),
            ("--x={a,b}", "--x=a", false),
            ("[ab]", "a", false),
            ("!a", "b", false),
            ("a\nb*", "a\nb/c", true),
        ] {
            assert_eq!(Words::line(words).unwrap().fits(text), fits, "{words} {text}");
        }
    }
}
