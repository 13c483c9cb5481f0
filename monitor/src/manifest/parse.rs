//! YAML or JSON to the few of its values that describe pods. Everything else is passed over as it is read, and never kept.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Error, alias_limits, budget, options};

/// No path of the kernel is longer, nor is anything else that is looked for.
const TEXT_MAX: usize = 4096;

/// The keys whose values are kept.
const KEYS: [&str; 23] = [
    "args",
    "command",
    "containers",
    "env",
    "ephemeralContainers",
    "hostNetwork",
    "hostPID",
    "hostPath",
    "image",
    "initContainers",
    "items",
    "kind",
    "metadata",
    "name",
    "namespace",
    "path",
    "privileged",
    "securityContext",
    "serviceAccount",
    "serviceAccountName",
    "spec",
    "value",
    "volumes",
];

/// What is kept of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// Keys are there once: of two, the later one counts, as for the kubelet.
    Map(Vec<(&'static str, Self)>),
    List(Vec<Self>),
    Text(String),
    Nothing,
}

/// All documents of a file. The error quotes nothing of it.
pub(super) fn documents(bytes: &[u8]) -> Result<Vec<Node>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no UTF-8".to_owned())?;
    // As the kubelet tells them apart, but what is no JSON may be YAML still.
    let json = text.trim_start().starts_with('{').then(|| json(text));
    match json {
        Some(Ok(documents)) => Ok(documents),
        Some(Err(Category::Eof | Category::Syntax)) | None => yaml(text),
        Some(Err(Category::Data | Category::Io)) => Err("it is no YAML or JSON".to_owned()),
    }
}

fn json(text: &str) -> Result<Vec<Node>, Category> {
    serde_json::Deserializer::from_str(text)
        .into_iter()
        .map(|document| document.map_err(|error| error.classify()))
        .collect()
}

/// Aliases cost what they stand for, and nothing that a manifest needs comes near these bounds.
fn yaml(text: &str) -> Result<Vec<Node>, String> {
    let options = options! {
        budget: budget! {
            max_events: 200_000,
            max_nodes: 100_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_recorded_anchor_events: 100_000,
            max_recorded_anchor_bytes: 4 << 20,
            max_total_scalar_bytes: 4 << 20,
            max_documents: 256,
            max_merge_keys: 1_000,
        },
        alias_limits: alias_limits! {
            max_total_replayed_events: 4_000,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        with_snippet: false,
        // Values that a manifest has no use for are no reason not to read the others.
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let what = if is_bound(&error) {
            "it has more in it than a manifest needs"
        } else {
            "it is no YAML or JSON"
        };
        match error.location() {
            Some(location) => format!("{what} (line {})", location.line()),
            None => what.to_owned(),
        }
    })
}

fn is_bound(error: &Error) -> bool {
    matches!(
        error.without_snippet(),
        Error::Budget { .. }
            | Error::AliasError { .. }
            | Error::AliasReplayCounterOverflow { .. }
            | Error::AliasReplayLimitExceeded { .. }
            | Error::AliasExpansionLimitExceeded { .. }
            | Error::AliasReplayStackDepthExceeded { .. }
    )
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Keep)
    }
}

struct Keep;

impl<'de> Visitor<'de> for Keep {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value[..value.floor_char_boundary(TEXT_MAX)].to_owned()))
    }

    fn visit_bytes<E: serde::de::Error>(self, value: &[u8]) -> Result<Node, E> {
        self.visit_str(&String::from_utf8_lossy(value))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut nodes: Vec<(&'static str, Node)> = Vec::new();
        while let Some(Key(key)) = map.next_key()? {
            let Some(key) = key else {
                let IgnoredAny = map.next_value()?;
                continue;
            };
            let value = map.next_value()?;
            match nodes.iter_mut().find(|(known, _)| *known == key) {
                Some((_, node)) => *node = value,
                None => nodes.push((key, value)),
            }
        }
        Ok(Node::Map(nodes))
    }
}

/// A key that is looked for. In YAML, anything can be a key.
struct Key(Option<&'static str>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Node::Text(text) = Node::deserialize(deserializer)? else { return Ok(Self(None)) };
        Ok(Self(KEYS.into_iter().find(|key| *key == text)))
    }
}

impl Node {
    /// What is at the end of a chain of keys.
    pub(super) fn at(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |node, key| match node {
            Self::Map(nodes) => nodes.iter().find(|(known, _)| known == key).map(|(_, node)| node),
            Self::List(_) | Self::Text(_) | Self::Nothing => None,
        })
    }

    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn list(&self) -> &[Self] {
        if let Self::List(nodes) = self { nodes } else { &[] }
    }

    /// As YAML 1.1 has it, whose words the kubelet's reader knows; in quotes, too, where it would refuse them.
    pub(super) fn is_true(&self) -> bool {
        let words = ["true", "yes", "on", "y"];
        self.text().is_some_and(|text| words.iter().any(|word| text.eq_ignore_ascii_case(word)))
    }
}
