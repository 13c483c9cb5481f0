//! The inner cargo: free of what the outer `cargo run` and the user's environment would impose on it.

use std::env;
use std::process::Command;

use crate::paths;

/// The flags come from xtask alone: with `RUSTFLAGS` set cargo would ignore the per-target flags that make the binaries
/// static. The library path that `cargo run` sets would give one toolchain the libraries of another.
const IMPOSED: [&str; 8] = [
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "LD_LIBRARY_PATH",
    "RUSTC",
    "RUSTC_BOOTSTRAP",
    "RUSTFLAGS",
    "BYPASSD_EBPF_OBJECT",
];

/// What describes xtask's own package and build.
const OWN_PREFIXES: [&str; 4] = ["CARGO_BIN_", "CARGO_CRATE_", "CARGO_MANIFEST_", "CARGO_PKG_"];

/// The cargo that runs xtask, with its toolchain.
pub fn host() -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

pub fn other(program: &str) -> Command {
    let mut command = command(program.into());
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO");
    command
}

fn command(program: std::ffi::OsString) -> Command {
    let mut command = Command::new(program);
    command.current_dir(paths::root());
    for name in IMPOSED {
        command.env_remove(name);
    }
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let own = OWN_PREFIXES.iter().any(|prefix| text.starts_with(prefix));
        let target_flags = text.starts_with("CARGO_TARGET_") && text.ends_with("_RUSTFLAGS");
        if own || target_flags {
            command.env_remove(&name);
        }
    }
    command
}
