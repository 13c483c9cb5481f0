//! The policy in force as a file that can be loaded again.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::{Config, Containers, Entry, HostNamespaces, Origin, Processes, Rule, Words};
use crate::event::text::escaped;
use crate::model::Class;
use crate::target::{Destinations, What};

impl Config {
    /// Every part with where it comes from. The result stands for itself: its profile is `none`.
    pub fn to_yaml(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _infallible = self.write(&mut text);
        text
    }

    /// What the file adds to its profile, as the begin of a file that does the same and to which rules can be added.
    pub fn own_yaml(&self) -> String {
        let profile = if self.path.is_some() { self.profile } else { "auto" };
        let mut own = self.clone();
        // The profile's ports are the file's where it says other destinations.
        own.targets.retain(|Entry { value, origin }| {
            let elsewhere = |destinations: &Destinations| *destinations != Destinations::Node;
            let moved = value.class == Class::KubeletApi
                && matches!(&value.what, What::Port { destinations, .. } if elsewhere(destinations));
            matches!(origin, Origin::File(_)) || moved
        });
        own.rules.retain(|entry| matches!(entry.origin, Origin::File(_)));
        let mut text = format!("version: 1\nprofile: {profile}\n");
        if self.discover != (profile != "none") {
            text.push_str(if self.discover { "discover: true\n" } else { "discover: false\n" });
        }
        // Writing to a String cannot fail.
        let _infallible = own.write_severities(&mut text).and_then(|()| own.write_parts(&mut text));
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        write!(out, "version: 1\nprofile: none # all of it is here; it builds on {}", self.profile)?;
        match &self.evidence {
            Some(evidence) => writeln!(out, ", detected: {}", escaped(evidence))?,
            None => writeln!(out)?,
        }
        self.write_parts(out)?;
        self.write_severities(out)
    }

    fn write_parts(&self, out: &mut String) -> std::fmt::Result {
        if !self.targets.is_empty() {
            writeln!(out, "targets:")?;
        }
        for class in Class::ALL {
            self.write_class(out, class)?;
        }
        if !self.rules.is_empty() {
            writeln!(out, "allow:")?;
        }
        for Entry { value, origin } in &self.rules {
            write_rule(out, value, &format!(" # {}", self.source(origin)))?;
        }
        Ok(())
    }

    fn write_severities(&self, out: &mut String) -> std::fmt::Result {
        if !self.severities.is_empty() {
            writeln!(out, "severity:")?;
        }
        let origin = self.source(&Origin::File(0));
        self.severities
            .iter()
            .try_for_each(|(class, severity)| writeln!(out, "  {class}: {} # {origin}", severity.name()))
    }

    fn write_class(&self, out: &mut String, class: Class) -> std::fmt::Result {
        let entries: Vec<_> = self.targets.iter().filter(|entry| entry.value.class == class).collect();
        let Some(first) = entries.first() else { return Ok(()) };
        writeln!(out, "  {class}:")?;
        for key in ["paths", "sockets", "ports"] {
            let mut of_key = entries.iter().filter(|entry| key_of(&entry.value.what) == key).peekable();
            if of_key.peek().is_some() {
                writeln!(out, "    {key}:")?;
            }
            for Entry { value, origin } in of_key {
                let item = match &value.what {
                    What::Path(_) | What::Glob { .. } | What::Socket(_) | What::Sockets { .. } => {
                        quoted(&value.name())
                    }
                    What::Port { port, .. } => port.to_string(),
                };
                writeln!(out, "      - {item} # {}", self.source(origin))?;
            }
        }
        if class == Class::KubeletApi
            && let What::Port { destinations, .. } = &first.value.what
        {
            writeln!(out, "    destinations: {}", words(destinations))?;
        }
        Ok(())
    }

    fn source(&self, origin: &Origin) -> String {
        match (origin, &self.path) {
            (Origin::File(line), Some(path)) => {
                let path = escaped(&path.to_string_lossy());
                if *line == 0 { format!("from {path}") } else { format!("from {path}:{line}") }
            }
            (Origin::Profile(name), _) => format!("from profile {name}"),
            (Origin::File(_), None) => format!("from profile {}", self.profile),
            (Origin::Found(from), _) => format!("found running: {from}"),
        }
    }
}

fn write_rule(out: &mut String, rule: &Rule, comment: &str) -> std::fmt::Result {
    let Rule { id, targets, access, process, container, source, destination } = rule;
    writeln!(out, "  - id: {}{comment}", quoted(id))?;
    writeln!(out, "    targets: {}", list(&targets.iter().map(ToString::to_string).collect::<Vec<_>>()))?;
    if let Some(access) = access {
        writeln!(
            out,
            "    access: {}",
            list(&access.iter().map(|group| group.name().to_owned()).collect::<Vec<_>>())
        )?;
    }
    if !source.is_empty() {
        let source = source.iter().map(|network| quoted(&network.to_string()));
        return writeln!(out, "    source: {}", list(&source.collect::<Vec<_>>()));
    }
    if !destination.is_empty() {
        let networks = destination.iter().map(|network| quoted(&network.to_string()));
        writeln!(out, "    destination: {}", list(&networks.collect::<Vec<_>>()))?;
    }
    if let Some(container) = container {
        let fields = container.fields().into_iter().filter(|(_, words)| !words.is_empty());
        let fields = fields.map(|(key, words)| {
            format!(
                "{key}: {}",
                list(&words.iter().map(|words| quoted(&words.to_string())).collect::<Vec<_>>())
            )
        });
        writeln!(out, "    container: {{{}}}", fields.collect::<Vec<_>>().join(", "))?;
    }
    if rule.is_for_anyone() {
        writeln!(out, "    i_know: true")?;
    }
    let fields = process.written();
    if !fields.is_empty() {
        writeln!(out, "    process:")?;
    }
    fields.iter().try_for_each(|(key, value)| writeln!(out, "      {key}: {value}"))
}

impl Rule {
    /// As it is written in a file, under `allow`.
    pub fn to_yaml(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _infallible = write_rule(&mut text, self, "");
        text
    }

    /// In a few words, for a list.
    pub fn summary(&self) -> String {
        let Self { id: _, targets, access, process, container, source, destination } = self;
        let mut text = join(targets);
        if let Some(access) = access {
            text += &format!(" ({})", access.iter().map(|group| group.name()).collect::<Vec<_>>().join(", "));
        }
        if !source.is_empty() {
            return text + &format!(" from {}", join(source));
        }
        text += " by ";
        text += &process.summary();
        if !destination.is_empty() {
            text += &format!(" to {}", join(destination));
        }
        for (key, words) in
            container.iter().flat_map(Containers::fields).filter(|(_, words)| !words.is_empty())
        {
            text += &format!(" in {key} {}", join(words));
        }
        text
    }
}

impl Processes {
    /// The fields that say something, as they are written in a file.
    fn written(&self) -> Vec<(&'static str, String)> {
        let Self { exe, sha256, uid, unit, args, ancestors, host_ns } = self;
        let paths = |paths: &[PathBuf]| paths.iter().map(|path| quoted(&path.to_string_lossy())).collect();
        let words = |words: &[Words]| words.iter().map(|words| quoted(&words.to_string())).collect();
        let lists: [(_, Vec<_>); 6] = [
            ("exe", paths(exe)),
            // Digits alone would be a number.
            ("sha256", sha256.iter().map(|digest| format!("\"{digest}\"")).collect()),
            ("uid", uid.iter().map(ToString::to_string).collect()),
            ("unit", words(unit)),
            ("args", words(args)),
            ("ancestors", paths(ancestors)),
        ];
        let lists = lists.into_iter().filter(|(_, items)| !items.is_empty());
        let mut fields: Vec<_> = lists.map(|(key, items)| (key, list(&items))).collect();
        if *host_ns != HostNamespaces::default() {
            fields.push(("host_ns", format!("{{{}}}", host_ns.words().join(", "))));
        }
        fields
    }

    fn summary(&self) -> String {
        let Self { exe, sha256, uid, unit, args, ancestors, host_ns } = self;
        let mut text = match (exe.is_empty(), self == &Self::default()) {
            (true, true) => "anyone".to_owned(),
            (true, false) => "any executable".to_owned(),
            (false, _) => join(exe.iter().map(|path| path.display())),
        };
        if !sha256.is_empty() {
            text += &format!(" of SHA-256 {}", join(sha256));
        }
        if !uid.is_empty() {
            text += &format!(" as user {}", join(uid));
        }
        if !unit.is_empty() {
            text += &format!(" of unit {}", join(unit));
        }
        if !args.is_empty() {
            text += &format!(" with arguments {}", join(args));
        }
        if !ancestors.is_empty() {
            text += &format!(" below {}", join(ancestors.iter().map(|path| path.display())));
        }
        if *host_ns != HostNamespaces::default() {
            text += &format!(" with host_ns {}", host_ns.words().join(", "));
        }
        text
    }
}

impl HostNamespaces {
    fn words(self) -> Vec<String> {
        let given = self.fields().into_iter().filter_map(|(key, wanted)| Some((key, wanted?)));
        given.map(|(key, wanted)| format!("{key}: {wanted}")).collect()
    }
}

fn list(words: &[String]) -> String {
    format!("[{}]", words.join(", "))
}

fn join<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

/// The key of a class under which it is written.
fn key_of(what: &What) -> &'static str {
    match what {
        What::Path(_) | What::Glob { .. } => "paths",
        What::Socket(_) | What::Sockets { .. } => "sockets",
        What::Port { .. } => "ports",
    }
}

fn words(destinations: &Destinations) -> String {
    match destinations {
        Destinations::Node => "node".to_owned(),
        Destinations::Any | Destinations::Outside => "any".to_owned(),
        Destinations::Networks(networks) => {
            let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
            format!("[{}]", networks.join(", "))
        }
    }
}

/// A JSON string is a YAML string, but for characters that YAML wants escaped and JSON does not.
fn quoted(text: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "/_.-".contains(char);
    // Words that YAML, in one version or another, does not read as text.
    let special = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let special = special.iter().any(|word| text.eq_ignore_ascii_case(word));
    let starts_plain = text.starts_with(|char: char| char.is_ascii_alphabetic() || char == '/');
    if !special && starts_plain && text.chars().all(plain) {
        text.to_owned()
    } else {
        let json = serde_json::Value::from(text).to_string();
        json.chars().map(printable).collect()
    }
}

fn printable(char: char) -> String {
    let code = u32::from(char);
    if char.is_control() || matches!(code, 0x2028 | 0x2029 | 0xfeff | 0xfffe | 0xffff) {
        format!("\\u{code:04x}")
    } else {
        char.to_string()
    }
}
