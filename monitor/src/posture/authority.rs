//! Certificate authorities, by their public keys: two certificates of one key are one authority, whatever their names are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};

use super::finding::named;
use super::settings::Place;
use crate::hash::sha256;

/// A bundle of a public web's authorities has some hundred.
const CERTIFICATES_MAX: usize = 512;

/// Digits of a key's hash, enough to tell keys apart.
const SHOWN: usize = 16;

/// A file of certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authority {
    pub path: PathBuf,
    /// Hashes of their keys.
    keys: BTreeSet<String>,
}

impl Authority {
    /// The error says what is wrong with the file.
    pub(super) fn read(place: Place<'_>, path: &Path) -> Result<Self, String> {
        let wrong = |why: &str| format!("{} is not read: {why}", named(path));
        let text = place.read(path).map_err(|error| wrong(&error.to_string()))?;
        let keys = keys(&text).map_err(wrong)?;
        Ok(Self { path: path.to_owned(), keys })
    }

    pub(super) fn shown(&self) -> String {
        named(&self.path)
    }

    /// The first digits of each key's hash.
    pub(super) fn digests(&self) -> String {
        let digests: Vec<_> =
            self.keys.iter().take(4).map(|key| format!("sha256:{}", &key[..SHOWN])).collect();
        digests.join(" ")
    }
}

/// Whether they have a key in common.
pub(super) fn common(one: &Authority, other: &Authority) -> bool {
    !one.keys.is_disjoint(&other.keys)
}

/// The keys of all certificates of a PEM file. What is in it besides is passed over, as Go does; a certificate that cannot be read is an
/// error, because its key is not known.
pub(super) fn keys(text: &[u8]) -> Result<BTreeSet<String>, &'static str> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let text = String::from_utf8_lossy(text);
    let mut keys = BTreeSet::new();
    for block in text.split(BEGIN).skip(1) {
        let (body, _) = block.split_once(END).ok_or("a certificate has no end")?;
        let digits: String = body.split_ascii_whitespace().collect();
        let der = STANDARD.decode(digits).map_err(|_| "a certificate is not in base64")?;
        let certificate =
            Certificate::from_der(&der).map_err(|_| "a certificate is none that can be read")?;
        let key = certificate.tbs_certificate().subject_public_key_info();
        let algorithm = key.algorithm.oid.to_der().map_err(|_| "a certificate has a key of no known kind")?;
        // Parameters may be written in two ways, and the bits are the key.
        let bits = key.subject_public_key.as_bytes().ok_or("a certificate has a key of no known kind")?;
        keys.insert(sha256(&[&algorithm, bits].concat()));
        if keys.len() > CERTIFICATES_MAX {
            return Err("it has more certificates than are read");
        }
    }
    if keys.is_empty() { Err("there is no certificate in it") } else { Ok(keys) }
}
