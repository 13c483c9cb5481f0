//! Which machine the events are from.

use std::env;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::Node;

impl Node {
    /// What the node's files and the kernel say; what cannot be read is left out.
    pub fn read(root: &Path) -> Self {
        let uname = rustix::system::uname();
        let host = uname.nodename().to_string_lossy().into_owned();
        Self {
            name: env::var("NODE_NAME").ok().filter(|name| !name.is_empty()).unwrap_or(host),
            machine_id: line(&root.join("etc/machine-id")),
            boot_id: line(Path::new("/proc/sys/kernel/random/boot_id")),
            kernel: uname.release().to_string_lossy().into_owned(),
        }
    }
}

/// Ids are shorter; whatever else is in the file's place must not become part of every event.
const LINE: u64 = 64;

fn line(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(LINE).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
