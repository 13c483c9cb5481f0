//! The command line of a program that is written in Go, or a file of such flags.

/// No command line of a control plane comes near it.
const ARGS_MAX: usize = 1024;

/// Arguments without the program's own name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags(Vec<String>);

impl Flags {
    /// Of /proc/PID/cmdline, where each argument ends with a zero byte.
    pub fn of_cmdline(cmdline: &[u8]) -> Self {
        let list = cmdline.strip_suffix(&[0]).unwrap_or(cmdline);
        let args = list.split(|byte| *byte == 0).skip(1).take(ARGS_MAX);
        Self(args.map(|arg| String::from_utf8_lossy(arg).into_owned()).collect())
    }

    /// Of `name=value`, as k3s has the kubelet's.
    pub fn of_pairs(pairs: &[String]) -> Self {
        let pairs = pairs.iter().take(ARGS_MAX);
        Self(pairs.map(|pair| format!("--{}", pair.trim_start_matches('-'))).collect())
    }

    /// Of arguments without the program's own name.
    pub fn of_args(args: &[String]) -> Self {
        Self(args.iter().take(ARGS_MAX).cloned().collect())
    }

    /// Of a file with a flag a line, in which `$NAME` and `${NAME}` stand for what the environment has.
    pub fn of_file(text: &[u8], environ: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let lines = text.lines().map(str::trim).filter(|line| line.starts_with('-'));
        let args = lines.take(ARGS_MAX).map(|line| expanded(line, environ));
        Self(args.map(|arg| arg.replace(['"', '\''], "")).collect())
    }

    /// Every value of a flag that has one of these names, in order: `--name=value`, `--name value`, with one dash or two, and
    /// with `_` for `-`.
    pub fn all<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = &'a str> {
        self.0.iter().enumerate().filter_map(move |(index, arg)| {
            let flag = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-'))?;
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (flag, None),
            };
            if !names.contains(&name.replace('_', "-").as_str()) {
                return None;
            }
            value.or_else(|| self.0.get(index + 1).map(String::as_str))
        })
    }

    /// The last value of a switch: it has one only behind `=`, and alone it is on.
    pub fn switch(&self, names: &[&str]) -> Option<&str> {
        self.0.iter().rev().find_map(|arg| {
            let flag = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-'))?;
            let (name, value) = flag.split_once('=').unwrap_or((flag, "true"));
            names.contains(&name.replace('_', "-").as_str()).then_some(value)
        })
    }

    /// The last one counts.
    pub fn last<'a>(&'a self, names: &'a [&str]) -> Option<&'a str> {
        self.all(names).last()
    }
}

/// A variable of /proc/PID/environ.
pub fn variable<'a>(environ: &'a [u8], name: &str) -> Option<&'a str> {
    let variables = environ.split(|byte| *byte == 0);
    let mut values = variables.filter_map(|variable| {
        variable.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"="))
    });
    std::str::from_utf8(values.next()?).ok()
}

fn expanded(text: &str, environ: &[u8]) -> String {
    /// What a path of it can be long.
    const LONGEST: usize = 4096;
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
        let (name, behind) = braced.unwrap_or_else(|| {
            let end = after.find(|char| !is_name(char)).unwrap_or(after.len());
            after.split_at(end)
        });
        out.push_str(variable(environ, name).unwrap_or_default());
        rest = behind;
        if out.len() > LONGEST {
            break;
        }
    }
    out.push_str(rest);
    out.truncate(out.floor_char_boundary(LONGEST));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_written_in_many_ways() {
        let flags = Flags::of_cmdline(
            b"kubelet\0--config=/a\0--pod_manifest_path\0/b\0-data-dir=/c\0--config\0/d\0--last",
        );
        assert_eq!(flags.all(&["config"]).collect::<Vec<_>>(), ["/a", "/d"]);
        assert_eq!(flags.last(&["config"]), Some("/d"));
        assert_eq!(flags.last(&["pod-manifest-path"]), Some("/b"));
        assert_eq!(flags.last(&["d", "data-dir"]), Some("/c"));
        assert_eq!(flags.last(&["last"]), None);
        assert_eq!(Flags::of_cmdline(b"").last(&["config"]), None);
    }

    #[test]
    fn a_switch_takes_no_argument_of_others() {
        let flags = Flags::of_cmdline(b"etcd\0--client-cert-auth\0false\0--auto-tls=true\0--auto_tls=false");
        assert_eq!(flags.switch(&["client-cert-auth"]), Some("true"));
        assert_eq!(flags.switch(&["auto-tls"]), Some("false"));
        assert_eq!(flags.switch(&["peer-auto-tls"]), None);
    }

    #[test]
    fn a_file_of_flags_knows_the_environment() {
        let environ = b"SNAP_DATA=/var/snap/microk8s/7\0X=\0";
        let text =
            b"# comment\n--a=${SNAP_DATA}/certs\n--b=\"$SNAP_DATA/x\"\n--c=${X}${ABSENT}y\n--d=$\n--e=${\n";
        let flags = Flags::of_file(text, environ);
        assert_eq!(flags.last(&["a"]), Some("/var/snap/microk8s/7/certs"));
        assert_eq!(flags.last(&["b"]), Some("/var/snap/microk8s/7/x"));
        assert_eq!((flags.last(&["c"]), flags.last(&["d"])), (Some("y"), Some("")));
    }

    #[test]
    fn variables_have_whole_names() {
        let environ = b"AB=1\0A=2\0BAD=\xff\0";
        assert_eq!((variable(environ, "A"), variable(environ, "B")), (Some("2"), None));
        assert_eq!(variable(environ, "BAD"), None);
    }

    #[test]
    fn variables_that_grow_are_cut() {
        let environ = [b"A=".as_slice(), &[b'x'; 3000]].concat();
        let flags = Flags::of_file(b"--a=${A}", &environ);
        assert!(flags.last(&["a"]).is_some_and(|value| value.len() == 3000));
        let many = format!("--a={}", "$A".repeat(100_000));
        assert!(
            Flags::of_file(many.as_bytes(), &environ).last(&["a"]).is_some_and(|value| value.len() < 4096)
        );
    }
}
