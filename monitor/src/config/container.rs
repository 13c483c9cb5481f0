//! Which containers a rule means.

use super::Words;
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
