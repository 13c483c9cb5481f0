//! CRI-O: `--listen` over drop-ins over its configuration. <https://github.com/cri-o/cri-o/blob/main/docs/crio.8.md>

use super::document::Document;
use super::flags::variable;
use super::found::Findings;
use super::process::Process;
use crate::model::Class;

const CONFIG: &str = "/etc/crio/crio.conf";
const DROP_INS: &str = "/etc/crio/crio.conf.d";
const LISTEN: &str = "/run/crio/crio.sock";
const KEY: &str = "crio.api.listen";

pub fn read(process: &Process, findings: &mut Findings<'_>) {
    let given = |flags: &[&str], name: &str| {
        let flag = process.flags.last(flags).map(str::to_owned);
        flag.or_else(|| variable(&process.environ, name).map(str::to_owned)).filter(|value| !value.is_empty())
    };
    let config = given(&["config", "c"], "CONTAINER_CONFIG").unwrap_or_else(|| CONFIG.to_owned());
    let drop_ins = given(&["config-dir", "d"], "CONTAINER_CONFIG_DIR").unwrap_or_else(|| DROP_INS.to_owned());
    let mut said = (LISTEN.to_owned(), "its usual address".to_owned());
    let files = std::iter::once(process.whole(&config)).chain(process.list(&process.whole(&drop_ins)));
    for file in files {
        let document = findings.read(&file, Document::toml);
        if let Some(value) = document.as_ref().and_then(|document| document.text(KEY)) {
            said = (value.to_owned(), Findings::key(KEY, &file));
        }
    }
    if let Some(value) = given(&["listen"], "CONTAINER_LISTEN") {
        said = (value, "--listen".to_owned());
    }
    findings.socket(Class::RuntimeApi, &said.0, &said.1);
}

#[cfg(test)]
mod tests {
    use super::super::program::Program;
    use super::super::testing::Node;

    #[test]
    fn the_flag_goes_over_drop_ins_over_the_file() {
        let node = Node::new(&[
            ("/etc/crio/crio.conf", "[crio.api]\nlisten = \"/run/a/crio.sock\"\n"),
            ("/etc/crio/crio.conf.d/10-x.conf", "[crio.api]\nlisten = \"/run/b/crio.sock\"\n"),
        ]);
        for (cmdline, environ, says) in [
            ("crio", "", "/run/b/crio.sock < crio[7], crio.api.listen in /etc/crio/crio.conf.d/10-x.conf"),
            (
                "crio --config-dir=/none",
                "",
                "/run/a/crio.sock < crio[7], crio.api.listen in /etc/crio/crio.conf",
            ),
            ("crio", "CONTAINER_LISTEN=/run/c/c.sock\0", "/run/c/c.sock < crio[7], --listen"),
            ("crio -d /none -c /none", "", "/run/crio/crio.sock < crio[7], its usual address"),
        ] {
            let (found, _) = node.says(Program::Crio, cmdline, environ.as_bytes());
            assert_eq!(found, [format!("runtime_api {says}")], "{cmdline}");
        }
    }
}
