//! Rules that allow whatever an interpreter is given to run.

use std::path::{Path, PathBuf};

use super::Rule;
use super::paths::shown;

/// Names without a version. The loader of programs runs any, too.
const INTERPRETERS: [&str; 25] = [
    "ash", "awk", "bash", "busybox", "dash", "env", "fish", "gawk", "gdb", "java", "ksh", "lua", "mawk",
    "mksh", "node", "nodejs", "perl", "php", "python", "ruby", "sh", "socat", "tclsh", "toybox", "zsh",
];

/// What to mind about the rules. `real` says which file of the node a path leads to, if that is known.
pub fn warnings<'a>(
    rules: impl IntoIterator<Item = &'a Rule>,
    real: impl Fn(&Path) -> Option<PathBuf>,
) -> Vec<String> {
    let open = rules.into_iter().filter(|rule| rule.process.args.is_empty());
    let interpreter = |rule: &'a Rule| {
        let runs_any =
            |path: &&PathBuf| is_interpreter(path) || real(path).is_some_and(|real| is_interpreter(&real));
        let path = rule.process.exe.iter().find(runs_any)?;
        let (id, path) = (shown(&rule.id), shown(&path.to_string_lossy()));
        Some(format!(
            "rule `{id}` allows every script and command that {path} is given; limit it with `args`"
        ))
    };
    open.filter_map(interpreter).collect()
}

fn is_interpreter(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let version = |char: char| char.is_ascii_digit() || char == '.' || char == '-';
    INTERPRETERS.contains(&name.trim_end_matches(version))
        || name.starts_with("ld-linux")
        || name.starts_with("ld-musl")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_interpreters_have_versions() {
        for (path, expected) in [
            ("/bin/sh", true),
            ("/usr/bin/python3.11", true),
            ("/usr/bin/perl5.36-x", false),
            ("/usr/bin/lua5.4", true),
            ("/lib64/ld-linux-x86-64.so.2", true),
            ("/usr/bin/kubelet", false),
            ("/usr/bin/bashful", false),
            ("/", false),
        ] {
            assert_eq!(is_interpreter(path.as_ref()), expected, "{path}");
        }
    }

    #[test]
    fn a_rule_without_arguments_is_told() {
        let config = |process: &str| {
            let rule = format!("allow: [{{id: a, targets: runtime_api, process: {{{process}}}}}]");
            super::super::build("p", &format!("version: 1\nprofile: none\n{rule}\n"), Some("p".as_ref()))
                .unwrap()
        };
        let to_shell = |path: &Path| (path == Path::new("/usr/bin/backup")).then(|| "/bin/dash".into());
        for (process, told) in [
            ("exe: /bin/sh", true),
            ("exe: [/usr/bin/kubelet, /bin/sh], uid: 0", true),
            ("exe: /bin/sh, args: /usr/local/bin/backup.sh", false),
            ("exe: /usr/bin/backup", true),
            ("exe: /usr/bin/kubelet", false),
            ("ancestors: /bin/sh", false),
        ] {
            let config = config(process);
            let warnings = warnings(config.rules.iter().map(|entry| &entry.value), to_shell);
            assert_eq!(warnings.len(), usize::from(told), "{process}: {warnings:?}");
        }
    }
}
