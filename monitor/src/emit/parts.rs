//! Taking a native event apart. What a format has a place for is taken out, and what is left is its extension object: so nothing can be
//! forgotten, fields of later versions included.

use serde_json::{Map, Value};

/// A native event of which parts are gone already.
pub(super) struct Parts(Value);

impl Parts {
    pub(super) fn new(event: Value) -> Self {
        Self(event)
    }

    /// By JSON pointer.
    pub(super) fn get(&self, pointer: &str) -> Option<&Value> {
        self.0.pointer(pointer)
    }

    /// Empty if there is no such text.
    pub(super) fn text(&self, pointer: &str) -> &str {
        self.get(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn has(&self, pointer: &str) -> bool {
        self.get(pointer).is_some()
    }

    pub(super) fn take(&mut self, pointer: &str) -> Option<Value> {
        let (parent, key) = pointer.rsplit_once('/')?;
        self.0.pointer_mut(parent)?.as_object_mut()?.remove(key)
    }

    /// For fields that hold ids as text.
    pub(super) fn take_as_text(&mut self, pointer: &str) -> Option<Value> {
        self.take(pointer).map(|value| match value {
            Value::Number(number) => number.to_string().into(),
            other => other,
        })
    }

    /// How many elements a list has.
    pub(super) fn len(&self, pointer: &str) -> usize {
        self.get(pointer).and_then(Value::as_array).map_or(0, Vec::len)
    }

    /// What nobody took.
    pub(super) fn rest(self) -> Map<String, Value> {
        match without_empty(self.0) {
            Some(Value::Object(object)) => object,
            _ => Map::new(),
        }
    }
}

/// Objects of which everything was taken are no information.
fn without_empty(value: Value) -> Option<Value> {
    match value {
        Value::Object(object) => {
            let object: Map<_, _> =
                object.into_iter().filter_map(|(key, value)| Some((key, without_empty(value)?))).collect();
            (!object.is_empty()).then_some(Value::Object(object))
        }
        Value::Array(list) => {
            // Elements keep their places.
            let list =
                list.into_iter().map(|value| without_empty(value).unwrap_or_else(|| Map::new().into()));
            let list: Vec<_> = list.collect();
            (list.is_empty() || list.iter().any(|value| !is_empty(value))).then_some(Value::Array(list))
        }
        other => Some(other),
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty)
}

/// An event that is put together.
#[derive(Default)]
pub(super) struct Tree(Map<String, Value>);

impl Tree {
    /// At a path of names with dots between; nothing for nothing.
    pub(super) fn put(&mut self, path: &str, value: Option<Value>) {
        let Some(value) = value else { return };
        let (mut object, mut path) = (&mut self.0, path);
        while let Some((name, rest)) = path.split_once('.') {
            let inner = object.entry(name).or_insert_with(|| Map::new().into());
            let Value::Object(inner) = inner else { return };
            (object, path) = (inner, rest);
        }
        object.insert(path.to_owned(), value);
    }

    pub(super) fn set(&mut self, path: &str, value: impl Into<Value>) {
        self.put(path, Some(value.into()));
    }

    /// Unless it is empty.
    pub(super) fn set_text(&mut self, path: &str, text: &str) {
        self.put(path, (!text.is_empty()).then(|| text.into()));
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts what is in another beside what is here.
    pub(super) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

impl From<Tree> for Value {
    fn from(tree: Tree) -> Self {
        Self::Object(tree.0)
    }
}

/// `(directory, name)` of an absolute path; the whole as its name if it has none.
pub(super) fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", name)) if !name.is_empty() => ("/", name),
        Some((directory, name)) if !name.is_empty() => (directory, name),
        _ => ("", path),
    }
}

/// `(name, tag, digest)` of a reference to an image; empty for what it does not say.
pub(super) fn image(reference: &str) -> (&str, &str, &str) {
    let (reference, digest) = reference.split_once('@').unwrap_or((reference, ""));
    match reference.rsplit_once(':') {
        // What comes after the colon of a registry's port has a slash.
        Some((name, tag)) if !tag.contains('/') => (name, tag, digest),
        _ => (reference, "", digest),
    }
}

/// The list's arguments with blanks between, as people read them.
pub(super) fn joined(args: &Value) -> Option<Value> {
    let args: Vec<_> = args.as_array()?.iter().filter_map(Value::as_str).collect();
    Some(args.join(" ").into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_taken_is_gone_and_the_rest_is_left() {
        let mut parts =
            Parts::new(json!({"a": {"b": 1, "c": {"d": "x"}}, "e": [], "f": [{"g": 2}, {"g": 3, "h": 4}]}));
        assert_eq!(parts.take("/a/c/d"), Some(json!("x")));
        assert_eq!(parts.take("/a/c/d"), None);
        assert_eq!(parts.take_as_text("/f/0/g"), Some(json!("2")));
        assert_eq!(parts.take("/f/1/g"), Some(json!(3)));
        assert_eq!(parts.take("/x/y"), None);
        assert_eq!(Value::from(parts.rest()), json!({"a": {"b": 1}, "e": [], "f": [{}, {"h": 4}]}));
    }

    #[test]
    fn paths_make_objects() {
        let mut tree = Tree::default();
        tree.set("a.b.c", 1);
        tree.set("a.d", "x");
        tree.put("a.e", None);
        tree.set_text("a.f", "");
        assert_eq!(Value::from(tree), json!({"a": {"b": {"c": 1}, "d": "x"}}));
    }

    #[test]
    fn paths_and_images_are_split() {
        assert_eq!(split("/etc/x.yaml"), ("/etc", "x.yaml"));
        assert_eq!(split("/x"), ("/", "x"));
        assert_eq!(split("/"), ("", "/"));
        assert_eq!(split("memfd:x"), ("", "memfd:x"));
        assert_eq!(image("registry:5000/a/b"), ("registry:5000/a/b", "", ""));
        assert_eq!(image("registry:5000/a/b:1.2@sha256:0f"), ("registry:5000/a/b", "1.2", "sha256:0f"));
        assert_eq!(image("busybox"), ("busybox", "", ""));
    }
}
