//! The node's own namespaces: those of process 1.

use std::{fs, io};

/// Inode numbers, as the kernel programs report an actor's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    pub mnt: u32,
    pub pid: u32,
    pub net: u32,
}

impl Namespaces {
    pub fn of_node() -> io::Result<Self> {
        Ok(Self { mnt: read("mnt")?, pid: read("pid")?, net: read("net")? })
    }
}

fn read(name: &str) -> io::Result<u32> {
    let link = fs::read_link(format!("/proc/1/ns/{name}"))?;
    parse(&link.to_string_lossy())
        .ok_or_else(|| io::Error::other(format!("unexpected link {}", link.display())))
}

/// `mnt:[4026531841]`
fn parse(link: &str) -> Option<u32> {
    link.split_once(":[")?.1.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn links_are_parsed() {
        assert_eq!(parse("mnt:[4026531841]"), Some(4_026_531_841));
        for bad in ["", "mnt", "mnt:[]", "mnt:[x]", "mnt:[1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
