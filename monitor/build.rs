//! Puts the kernel programs' object, compressed, where the daemon embeds it, or a stub, so that plain `cargo build`, `clippy` and
//! `test` need no eBPF toolchain. `cargo xtask build` compiles the object and names it in `BYPASSD_EBPF_OBJECT`.

use std::io::Write as _;
use std::path::PathBuf;
use std::{env, fs, io};

use flate2::Compression;
use flate2::write::ZlibEncoder;

const OBJECT: &str = "BYPASSD_EBPF_OBJECT";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={OBJECT}");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?).join("bypassd.bpf.o.z");
    if let Some(object) = env::var_os(OBJECT).map(PathBuf::from) {
        println!("cargo::rerun-if-changed={}", object.display());
        let mut compressed = ZlibEncoder::new(fs::File::create(out)?, Compression::best());
        compressed.write_all(&fs::read(object)?)?;
        compressed.finish()?;
    } else {
        println!(
            "cargo::warning=built without the kernel programs (a stub): `cargo xtask build` makes a daemon that can run"
        );
        fs::write(out, [])?;
    }
    Ok(())
}
