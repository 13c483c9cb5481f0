//! Hashes as events and people write them.

use sha2::{Digest as _, Sha256};

/// Hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
