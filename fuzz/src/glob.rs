use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use monitor::glob::split;

/// A pattern of a policy and the path of a file, with a zero byte in between. A second, plainer reading of the pattern has to agree:
/// a name that escapes its pattern is a file that nobody watches.
pub fn glob(data: &[u8]) {
    let Some(at) = data.iter().position(|byte| *byte == 0) else { return };
    let (Ok(pattern), below) = (std::str::from_utf8(&data[..at]), &data[at + 1..]) else { return };
    let names: Vec<_> = below.split(|byte| *byte == b'/').collect();
    let plain = |name: &&[u8]| !matches!(*name, b"" | b"." | b"..") && !name.contains(&0);
    if !names.iter().all(plain) || !pattern.starts_with('/') {
        return;
    }
    let Ok((_, pattern)) = split(Path::new(pattern)) else { return };
    let shown = pattern.to_string();
    // What one character is, is not the same for all where there is more than one byte to it.
    if shown.contains('?') && !below.is_ascii() {
        return;
    }
    let mut parts: Vec<_> = shown.split('/').collect();
    // At the end they are everything beneath, and not the directory itself.
    if parts.last() == Some(&"**") {
        parts.push("*");
    }
    let expected = matches(
        &parts,
        &names,
        |part| *part == "**",
        |part, name| {
            matches(part.as_bytes(), name, |byte| *byte == b'*', |byte, other| *byte == b'?' || byte == other)
        },
    );
    let found = pattern.fits(Path::new(OsStr::from_bytes(below)));
    assert_eq!(found, expected, "{shown:?} {}", below.escape_ascii());
}

/// Whether the whole list fits, where `any` parts of the pattern stand for any number of items and the others for one.
fn matches<P, T>(pattern: &[P], list: &[T], any: impl Fn(&P) -> bool, one: impl Fn(&P, &T) -> bool) -> bool {
    // Whether the pattern so far fits the first so many items.
    let mut fits = vec![false; list.len() + 1];
    fits[0] = true;
    for part in pattern {
        if any(part) {
            for at in 1..fits.len() {
                fits[at] |= fits[at - 1];
            }
        } else {
            for at in (1..fits.len()).rev() {
                fits[at] = fits[at - 1] && one(part, &list[at - 1]);
            }
            fits[0] = false;
        }
    }
    fits[list.len()]
}
