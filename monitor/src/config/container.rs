//! Which containers a rule means.

use std::fmt;

use fast_glob::glob_match;

use super::file::{Container, List};
use super::paths::shown;
use crate::identity::Whose;

/// The fields all have to match; of a list, one element. An empty list is for any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Containers {
    pub namespace: Vec<Words>,
    pub pod: Vec<Words>,
    /// Its name in its pod.
    pub name: Vec<Words>,
    pub image: Vec<Words>,
}

/// Text in which `*` stands for anything and `?` for one character: a slash of an image is a character as any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words(String);

impl Words {
    /// Says what to write instead of what cannot work.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty; write a name, or leave the field out for any".to_owned());
        }
        if let Some(char) = text.chars().find(|char| "[]{}\\!".contains(*char) || char.is_control()) {
            let char = char.escape_default();
            return Err(format!(
                "has `{char}` in it, which no name has; only `*` and `?` stand for something"
            ));
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
        // No name has a zero byte, and to the library it is not the end of a directory's name.
        glob_match(self.0.replace('/', "\0"), text.replace('/', "\0"))
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Containers {
    /// The fields as they are written in a rule of that name, and what is wrong with them.
    pub(super) fn read(rule: &str, fields: Container) -> (Self, Vec<String>) {
        let Container { namespace, pod, name, image } = fields;
        let mut wrong = Vec::new();
        let mut words = |field: &str, list: Option<List<String>>| {
            if list.as_ref().is_some_and(|list| list.0.is_empty()) {
                wrong.push(format!("`{field}` of rule `{rule}` is an empty list; leave it out for any"));
            }
            let mut words = Vec::new();
            for text in list.into_iter().flat_map(|list| list.0) {
                match Words::new(&text) {
                    Ok(fit) => words.push(fit),
                    Err(why) => wrong.push(format!("`{}` {why}", shown(&text))),
                }
            }
            words
        };
        let (namespace, pod) = (words("namespace", namespace), words("pod", pod));
        let (name, image) = (words("name", name), words("image", image));
        (Self { namespace, pod, name, image }, wrong)
    }

    /// Whether the process is in one of them. A field that is not known is none that a rule means.
    pub fn have(&self, whose: &Whose) -> bool {
        let (pod, container) = (whose.pod.as_ref(), whose.container.as_ref());
        let fits = |wanted: &[Words], known: Option<&String>| {
            wanted.is_empty() || known.is_some_and(|known| wanted.iter().any(|words| words.fits(known)))
        };
        let Self { namespace, pod: name_of_pod, name, image } = self;
        container.is_some()
            && fits(namespace, pod.and_then(|pod| pod.namespace.as_ref()))
            && fits(name_of_pod, pod.and_then(|pod| pod.name.as_ref()))
            && fits(name, container.and_then(|container| container.name.as_ref()))
            && fits(image, container.and_then(|container| container.image.as_ref()))
    }

    /// No field says which.
    pub(super) fn are_any(&self) -> bool {
        self.fields().iter().all(|(_, words)| words.is_empty() || words.iter().any(Words::is_anything))
    }

    /// Every field with its key.
    pub fn fields(&self) -> [(&'static str, &[Words]); 4] {
        let Self { namespace, pod, name, image } = self;
        [("namespace", namespace), ("pod", pod), ("name", name), ("image", image)]
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
}
