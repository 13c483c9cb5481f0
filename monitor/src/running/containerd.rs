//! containerd: `--address` over its configuration, and what that imports.
//! <https://github.com/containerd/containerd/blob/main/docs/man/containerd-config.toml.5.md>

use std::path::{Path, PathBuf};

use super::document::Document;
use super::found::Findings;
use super::process::Process;
use crate::config::Words;
use crate::model::Class;

const CONFIG: &str = "/etc/containerd/config.toml";
const ADDRESS: &str = "/run/containerd/containerd.sock";

/// Files that one configuration names.
const IMPORTS_MAX: usize = 32;

pub fn read(process: &Process, findings: &mut Findings<'_>) {
    let flags = &process.flags;
    let config = process.whole(flags.last(&["config", "c"]).unwrap_or(CONFIG));
    let mut settings: Vec<(Document, PathBuf)> = Vec::new();
    if let Some(document) = findings.read(&config, Document::toml) {
        let imports = imported(process, &config, &document);
        settings.push((document, config));
        for path in imports {
            settings.extend(findings.read(&path, Document::toml).map(|document| (document, path)));
        }
    }
    // The last one that says it.
    let said = |key: &str| {
        let mut files = settings.iter().rev();
        files.find_map(|(document, path)| {
            let value = document.text(key).filter(|value| !value.is_empty())?;
            Some((value.to_owned(), Findings::key(key, path)))
        })
    };
    let flag = flags.last(&["address", "a"]).filter(|address| !address.is_empty());
    let (address, from) = match flag {
        Some(address) => (address.to_owned(), "--address".to_owned()),
        None => said("grpc.address").unwrap_or_else(|| (ADDRESS.to_owned(), "its usual address".to_owned())),
    };
    findings.socket(Class::RuntimeApi, &address, &from);
    let (ttrpc, from) = said("ttrpc.address").unwrap_or_else(|| (format!("{address}.ttrpc"), from));
    findings.socket(Class::RuntimeApi, &ttrpc, &from);
}

/// The files that it imports: paths beside it, in which the last name can have `*`.
fn imported(process: &Process, config: &Path, document: &Document) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for import in document.list("imports").into_iter().flatten() {
        let path = config.parent().unwrap_or(Path::new("/")).join(import);
        let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
            continue;
        };
        if !name.contains('*') {
            files.push(path);
        } else if let Ok(words) = Words::new(name) {
            let fits = |file: &PathBuf| {
                file.file_name().and_then(|name| name.to_str()).is_some_and(|name| words.fits(name))
            };
            files.extend(process.list(dir).into_iter().filter(fits));
        }
        files.truncate(IMPORTS_MAX);
    }
    files
}

#[cfg(test)]
mod tests {
    use super::super::program::Program;
    use super::super::testing::Node;

    #[test]
    fn the_flag_goes_over_the_files_and_imports_over_the_configuration() {
        let node = Node::new(&[
            (
                "/etc/containerd/config.toml",
                "version = 3\nimports = [\"conf.d/*.toml\"]\n[grpc]\naddress = '/run/a/a.sock'\n[ttrpc]\naddress = ''\n",
            ),
            ("/etc/containerd/conf.d/1.toml", "[ttrpc]\naddress = '/run/t/t.sock'\n"),
            ("/etc/containerd/conf.d/1.txt", "[ttrpc]\naddress = '/run/not.sock'\n"),
        ]);
        let (found, notes) = node.says(Program::Containerd, "containerd", b"");
        assert_eq!(
            found,
            [
                "runtime_api /run/a/a.sock < containerd[7], grpc.address in /etc/containerd/config.toml",
                "runtime_api /run/t/t.sock < containerd[7], ttrpc.address in /etc/containerd/conf.d/1.toml",
            ]
        );
        assert_eq!(notes, [""; 0]);
        let (found, _) =
            node.says(Program::Containerd, "containerd -c /none -a /run/k3s/containerd/containerd.sock", b"");
        assert_eq!(
            found[1],
            "runtime_api /run/k3s/containerd/containerd.sock.ttrpc < containerd[7], --address"
        );
        let (found, _) = node.says(Program::Containerd, "containerd --config /none", b"");
        assert_eq!(
            found[0],
            "runtime_api /run/containerd/containerd.sock < containerd[7], its usual address"
        );
    }
}
