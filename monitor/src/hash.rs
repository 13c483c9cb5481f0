//! Hashes as events and people write them.

use std::fmt;
use std::io::{self, BufRead};
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// Hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Digest(Sha256::digest(bytes).into()).to_string()
}

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Of all that can be read.
    pub(crate) fn of(reader: &mut impl BufRead) -> io::Result<Self> {
        let mut hash = Sha256::new();
        loop {
            let part = reader.fill_buf()?;
            if part.is_empty() {
                return Ok(Self(hash.finalize().into()));
            }
            hash.update(part);
            let length = part.len();
            reader.consume(length);
        }
    }
}

/// The content of an executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashed {
    pub digest: Digest,
    /// Nobody can have changed the file between the access and the look at it.
    pub certain: bool,
}

impl FromStr for Digest {
    type Err = ();

    /// 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(()) };
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let byte = |pair: &[u8; 2]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
        let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_64_digits() {
        let text = "E3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let digest: Digest = text.parse().unwrap();
        assert_eq!(digest.to_string(), text.to_lowercase());
        assert_eq!(digest.to_string(), sha256(b""));
        let long = [b'x'; 100_000];
        let digest = Digest::of(&mut io::BufReader::new(&long[..])).unwrap();
        assert_eq!(digest.to_string(), sha256(&long));
        for wrong in ["", "e3", &text[1..], &text.replace('9', "g"), &format!("{text}00"), &"ä".repeat(32)] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
    }
}
