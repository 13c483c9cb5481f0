//! YAML and TOML to the few of their values that say where a door is. Everything else is passed over and never kept.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{alias_limits, budget, options};

/// No configuration file of these programs comes near it.
pub const SIZE_MAX: u64 = 1 << 20;

/// What is kept of one value.
const TEXT_MAX: usize = 4096;

/// What is kept of one list.
const LIST_MAX: usize = 256;

/// The keys whose values are kept; those of a table inside another are joined by a dot.
const KEYS: [&str; 61] = [
    "address",
    "authentication.anonymous.enabled",
    "authentication.webhook.enabled",
    "authentication.x509.clientCAFile",
    "authorization.mode",
    "client-transport-security.auto-tls",
    "client-transport-security.cert-file",
    "client-transport-security.client-cert-auth",
    "client-transport-security.key-file",
    "client-transport-security.trusted-ca-file",
    "config",
    "containerRuntimeEndpoint",
    "container-runtime-endpoint",
    "crio.api.listen",
    "data-dir",
    "datastore-endpoint",
    "debug.address",
    "grpc.address",
    "grpc.tcp_address",
    "grpc.tcp_tls_ca",
    "hosts",
    "imageServiceEndpoint",
    "image-service-endpoint",
    "imports",
    "kubelet-arg",
    "kube-apiserver-arg",
    "etcd-arg",
    "listen-client-http-urls",
    "listen-client-urls",
    "listen-peer-urls",
    "peer-transport-security.auto-tls",
    "peer-transport-security.cert-file",
    "peer-transport-security.client-cert-auth",
    "peer-transport-security.key-file",
    "peer-transport-security.trusted-ca-file",
    "port",
    "readOnlyPort",
    "root",
    "state",
    "staticPodPath",
    "staticPodURL",
    "spec.storage.etcd.peerAddress",
    "tlsPrivateKeyFile",
    "tlsverify",
    "ttrpc.address",
    "wal-dir",
    "write-kubeconfig",
    // Tables on the way to those above.
    "authentication",
    "authentication.anonymous",
    "authentication.webhook",
    "authentication.x509",
    "authorization",
    "client-transport-security",
    "crio",
    "crio.api",
    "debug",
    "grpc",
    "peer-transport-security",
    "spec",
    "spec.storage",
    "ttrpc",
];

/// The values of a file by their keys, in order; the later one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document(Vec<(&'static str, Vec<String>)>);

impl Document {
    /// As Kubernetes, etcd and k3s have it. The error quotes nothing of it.
    pub fn yaml(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is no UTF-8".to_owned())?;
        // Aliases cost what they stand for.
        let options = options! {
            budget: budget! {
                max_events: 100_000,
                max_nodes: 50_000,
                max_aliases: 100,
                max_anchors: 100,
                max_total_scalar_bytes: 2 << 20,
                max_documents: 1,
                max_merge_keys: 100,
            },
            alias_limits: alias_limits! {
                max_total_replayed_events: 4_000,
            },
            duplicate_keys: DuplicateKeyPolicy::PassThrough,
            with_snippet: false,
            non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        };
        let mut document = Self::default();
        serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
            Keep { path: "", document: &mut document }.deserialize(deserializer)
        })
        .map_err(|error| match error.location() {
            Some(location) => format!("it is no YAML that can be read (line {})", location.line()),
            None => "it is no YAML that can be read".to_owned(),
        })?;
        Ok(document)
    }

    /// As containerd and CRI-O have it.
    pub fn toml(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is no UTF-8".to_owned())?;
        let mut document = Self::default();
        let read = toml::Deserializer::parse(text)
            .and_then(|deserializer| Keep { path: "", document: &mut document }.deserialize(deserializer));
        match read {
            Ok(()) => Ok(document),
            Err(_) => Err("it is no TOML that can be read".to_owned()),
        }
    }

    /// What stands under a key, if anything does.
    pub fn list(&self, key: &str) -> Option<&[String]> {
        self.0.iter().rev().find(|(known, _)| *known == key).map(|(_, list)| list.as_slice())
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        match self.list(key)? {
            [text] => Some(text),
            _ => None,
        }
    }

    /// Whether it says of a key, or of a table that has it, that there is nothing.
    pub fn is_void(&self, key: &str) -> bool {
        let mut above = Some(key);
        while let Some(path) = above {
            if self.list(path).is_some_and(<[_]>::is_empty) {
                return true;
            }
            above = path.rsplit_once('.').map(|(above, _)| above);
        }
        false
    }

    /// Whether there may be more in the file than was kept.
    pub fn is_full(&self) -> bool {
        self.0.len() >= LIST_MAX
    }

    /// Another file over this one. An empty value takes nothing away.
    pub fn merge(&mut self, over: Self) {
        self.0.extend(over.0.into_iter().filter(|(_, list)| list.iter().any(|text| !text.is_empty())));
    }

    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|(_, list)| list).map(String::as_str)
    }
}

/// Reads a value into the document, under its path.
struct Keep<'a> {
    path: &'static str,
    document: &'a mut Document,
}

impl Keep<'_> {
    fn text(self, text: &str) {
        self.document.0.push((self.path, vec![cut(text)]));
    }
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_MAX)].to_owned()
}

impl<'de> DeserializeSeed<'de> for Keep<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keep<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.text(&value.to_string());
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.text(&value.to_string());
        Ok(())
    }

    fn visit_i128<E>(self, value: i128) -> Result<(), E> {
        self.text(&value.to_string());
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.text(&value.to_string());
        Ok(())
    }

    fn visit_u128<E>(self, value: u128) -> Result<(), E> {
        self.text(&value.to_string());
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.text(&value.to_string());
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.text(value);
        Ok(())
    }

    fn visit_bytes<E>(self, _value: &[u8]) -> Result<(), E> {
        Ok(())
    }

    /// Nothing, which is more than not to be there: in a drop-in it takes away what was.
    fn visit_unit<E>(self) -> Result<(), E> {
        // A file with nothing in it says nothing of any key.
        if !self.path.is_empty() {
            self.document.0.push((self.path, Vec::new()));
        }
        Ok(())
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut texts = Document::default();
        while list.next_element_seed(Keep { path: self.path, document: &mut texts })?.is_some() {
            texts.0.truncate(LIST_MAX);
        }
        // Keys of tables in the list are not the list's.
        let own = texts.0.into_iter().filter(|(path, _)| *path == self.path);
        let texts: Vec<_> = own.flat_map(|(_, texts)| texts).take(LIST_MAX).collect();
        self.document.0.push((self.path, texts));
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(path) = map.next_key_seed(Key { below: self.path })? {
            match path {
                Some(path) if self.document.0.len() < LIST_MAX => {
                    map.next_value_seed(Keep { path, document: self.document })?;
                }
                _ => {
                    let IgnoredAny = map.next_value()?;
                }
            }
        }
        Ok(())
    }
}

/// The path of a key, if its value is kept.
struct Key {
    below: &'static str,
}

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        let is_it = |path: &&&'static str| match self.below {
            "" => **path == key,
            below => path.strip_prefix(below).and_then(|rest| rest.strip_prefix('.')) == Some(key),
        };
        Ok(KEYS.iter().find(is_it).copied())
    }

    fn visit_bool<E>(self, _key: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _key: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i128<E>(self, _key: i128) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _key: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u128<E>(self, _key: u128) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _key: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bytes<E>(self, _key: &[u8]) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_looked_for_is_kept() {
        let text = b"apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nstaticPodPath: /a\n\
                     tlsCipherSuites: {x509: {clientCAFile: /secret}}\nport: 10260\ntoken: secret\nstaticPodPath: /b\n";
        let document = Document::yaml(text).unwrap();
        assert_eq!((document.text("staticPodPath"), document.text("port")), (Some("/b"), Some("10260")));
        assert!(document.values().all(|value| !value.contains("secret")));
    }

    #[test]
    fn nothing_is_another_thing_than_not_to_be_there() {
        let document = Document::yaml(b"authentication: {anonymous: null}\nport: ~\n").unwrap();
        for (key, is_void) in [
            ("authentication.anonymous.enabled", true),
            ("authentication.webhook.enabled", false),
            ("port", true),
            ("readOnlyPort", false),
        ] {
            assert_eq!((document.text(key), document.is_void(key)), (None, is_void), "{key}");
        }
        assert!(Document::yaml("port: 1\n".repeat(300).as_bytes()).unwrap().is_full());
    }

    #[test]
    fn json_is_yaml() {
        let document = Document::yaml(b"{\"staticPodPath\": \"/a\", \"x\": [1, {\"port\": 3}]}").unwrap();
        assert_eq!((document.text("staticPodPath"), document.text("port")), (Some("/a"), None));
    }

    #[test]
    fn tables_inside_tables_are_paths() {
        let text = b"version = 2\nimports = [\"/a.toml\", '/b']\n[grpc]\naddress = \"/run/x.sock\"\nuid = 3\n\
                     [plugins.\"io.containerd.grpc.v1.cri\"]\naddress = \"no\"\n[crio.api]\nlisten = \"/l\"\n";
        let document = Document::toml(text).unwrap();
        assert_eq!((document.text("grpc.address"), document.text("address")), (Some("/run/x.sock"), None));
        assert_eq!(document.text("crio.api.listen"), Some("/l"));
        assert_eq!(document.list("imports"), Some(["/a.toml".to_owned(), "/b".to_owned()].as_slice()));
        let yaml = Document::yaml(b"client-transport-security:\n  key-file: /k\n").unwrap();
        assert_eq!(yaml.text("client-transport-security.key-file"), Some("/k"));
    }

    #[test]
    fn what_cannot_be_read_is_said_without_quoting_it() {
        for bad in [&b"a: [secret"[..], b"\xff", b"a: secret\nb: *secret\n", b"---\na: 1\n---\nb: 2\n"] {
            let why = Document::yaml(bad).unwrap_err();
            assert!(why.starts_with("it is no ") && !why.contains("secret"), "{why}");
        }
        assert_eq!(Document::toml(b"a = secret").unwrap_err(), "it is no TOML that can be read");
        let deep = [b"a = ".as_slice(), &[b'['; 100_000]].concat();
        assert!(Document::toml(&deep).is_err());
        assert_eq!(Document::yaml(b"").unwrap(), Document::default());
    }

    #[test]
    fn another_file_goes_over_it() {
        let mut document = Document::yaml(b"staticPodPath: /a\nport: 1\n").unwrap();
        document.merge(Document::yaml(b"staticPodPath: ''\nport: 2\n").unwrap());
        assert_eq!((document.text("staticPodPath"), document.text("port")), (Some("/a"), Some("2")));
    }
}
