//! A daemon built without the eBPF toolchain says so and does not pretend to watch.

use std::process::Command;

#[test]
fn a_stub_refuses_to_run() {
    if option_env!("BYPASSD_EBPF_OBJECT").is_some() {
        // This build has the kernel programs; nothing here is about it.
        return;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_bypassd")).arg("run").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(output.stdout.is_empty());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        stderr,
        "bypassd: this bypassd was built without its kernel programs; build it with `cargo xtask build --release`\n"
    );
}
