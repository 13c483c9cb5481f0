//! What the containers of a manifest are started with. It is for who judges these settings, and never a part of an event as a whole:
//! arguments and environment can have secrets.

use super::parse::{Node, documents};
use super::pod::each;

/// Arguments and variables of one container.
const LIST_MAX: usize = 1024;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Command {
    /// The container's name.
    pub name: String,
    /// Without the program's own name.
    pub args: Vec<String>,
    /// As /proc/PID/environ would have it. Values that are elsewhere are not known.
    pub environ: Vec<u8>,
    /// The account that its pod asks for, which no static pod can have: the API server takes none that does.
    pub service_account: Option<String>,
}

/// The containers of all pods; nothing for what does not parse.
pub(crate) fn commands(bytes: &[u8]) -> Vec<Command> {
    let documents = documents(bytes).unwrap_or_default();
    let mut found = Vec::new();
    for document in &documents {
        each(document, &mut |pod| {
            let text =
                |key: &str| pod.at(&["spec", key]).and_then(Node::text).filter(|text| !text.is_empty());
            let account = text("serviceAccountName").or_else(|| text("serviceAccount")).map(str::to_owned);
            let containers = pod.at(&["spec", "containers"]).map(Node::list).unwrap_or_default();
            found.extend(containers.iter().map(|container| command(container, account.clone())));
        });
    }
    found
}

fn command(container: &Node, service_account: Option<String>) -> Command {
    let list = |key: &str| container.at(&[key]).map(Node::list).unwrap_or_default().iter().take(LIST_MAX);
    let texts = |key: &str| list(key).map(|arg| arg.text().unwrap_or_default().to_owned());
    let text = |node: &Node, key: &str| node.at(&[key]).and_then(Node::text).unwrap_or_default().to_owned();
    let environ =
        list("env").flat_map(|one| format!("{}={}\0", text(one, "name"), text(one, "value")).into_bytes());
    let (command, mut args): (Vec<_>, Vec<_>) = (texts("command").collect(), texts("args").collect());
    // Without a command the image has one, and all arguments are its own.
    args.splice(0..0, command.into_iter().skip(1));
    Command { name: text(container, "name"), args, environ: environ.collect(), service_account }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_follow_the_command() {
        let text = b"kind: Pod\nspec:\n  serviceAccountName: x\n  containers:\n  - name: etcd\n    command: [etcd, --a=1]\n    args: [--b=2]\n\
                     \x20   env: [{name: ETCD_C, value: '3'}, {name: D, valueFrom: {}}]\n  - {name: other, args: [--d]}\n";
        let found = commands(text);
        assert_eq!(found.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["etcd", "other"]);
        assert_eq!(found[0].args, ["--a=1", "--b=2"]);
        assert_eq!(found[0].environ, b"ETCD_C=3\0D=\0");
        assert_eq!(
            (found[1].args.as_slice(), found[1].service_account.as_deref()),
            (&["--d".to_owned()][..], Some("x"))
        );
        assert_eq!(commands(b"kind: [Pod"), []);
    }
}
