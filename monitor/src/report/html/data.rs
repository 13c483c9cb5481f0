//! All accesses for the script: a column a field, and each string once.

use std::io::{self, Write};

use crate::model::{Class, Severity};
use crate::report::escape::json;
use crate::report::gather::{Access, Collected};
use crate::report::input::Input;
use crate::report::record::Kind;
use crate::report::strings::Strings;

type Column = (&'static str, fn(&Access) -> i64);

pub fn write(out: &mut dyn Write, inputs: &[Input], collected: &Collected) -> io::Result<()> {
    let Collected { accesses, strings, pods, .. } = collected;
    let base = accesses.first().map_or(0, |access| access.at);
    write!(out, "{{\"base\":{base}")?;
    texts(out, "strings", strings.iter())?;
    texts(out, "inputs", inputs.iter().map(|input| input.name.as_str()))?;
    texts(out, "pods", pods.iter().map(|pod| pod.name.as_str()))?;
    texts(out, "classes", Class::ALL.into_iter().map(Class::name))?;
    texts(out, "severities", SEVERITIES.into_iter().map(Severity::name))?;
    processes_of(out, collected)?;
    let columns: [Column; 16] = [
        // The first is what `base` is added to.
        ("at", |access| access.at),
        ("seq", |access| i64::try_from(access.seq).unwrap_or(i64::MAX)),
        ("input", |access| access.input.into()),
        ("line", |access| i64::try_from(access.line).unwrap_or(i64::MAX)),
        ("kind", |access| match access.kind {
            Kind::Snapshot => 1,
            _ => 0,
        }),
        ("class", |access| place(&Class::ALL, access.class)),
        ("severity", |access| place(&SEVERITIES, access.severity)),
        ("violation", |access| access.is_violation.into()),
        ("process", |access| access.process.map_or(-1, i64::from)),
        ("count", |access| i64::try_from(access.count).unwrap_or(i64::MAX)),
        ("action", |access| access.action.into()),
        ("object", |access| access.object.into()),
        ("why", |access| access.why.into()),
        ("rule", |access| access.rule.into()),
        ("outcome", |access| access.outcome.into()),
        ("unknown", |access| access.unknown.into()),
    ];
    for (name, value) in columns {
        let base = if name == "at" { base } else { 0 };
        column(out, name, accesses, |access| value(access).saturating_sub(base))?;
    }
    out.write_all(b"}")
}

/// Each a list of its own. -1 is none.
fn processes_of(out: &mut dyn Write, collected: &Collected) -> io::Result<()> {
    let mut names = Strings::default();
    write!(out, ",\"processes\":[")?;
    for (place, process) in collected.processes.list.iter().enumerate() {
        let name = names.add(process.name.clone());
        let [parent, pod] = [process.parent, process.pod].map(|number| number.map_or(-1, i64::from));
        write!(out, "{}[{},{name},{},{parent},{pod}", comma(place), process.pid, process.uid)?;
        for (fact, value) in &process.facts {
            write!(out, ",{},{value}", names.add((*fact).to_owned()))?;
        }
        out.write_all(b"]")?;
    }
    out.write_all(b"]")?;
    texts(out, "names", names.iter())
}

const SEVERITIES: [Severity; 5] =
    [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

fn texts(out: &mut dyn Write, name: &str, list: impl Iterator<Item = impl AsRef<str>>) -> io::Result<()> {
    write!(out, ",\"{name}\":[")?;
    let mut text = String::new();
    for (place, one) in list.enumerate() {
        text.clear();
        json(&mut text, one.as_ref());
        write!(out, "{}{text}", comma(place))?;
    }
    out.write_all(b"]")
}

fn column(
    out: &mut dyn Write,
    name: &str,
    accesses: &[Access],
    value: impl Fn(&Access) -> i64,
) -> io::Result<()> {
    write!(out, ",\"{name}\":[")?;
    for (place, access) in accesses.iter().enumerate() {
        write!(out, "{}{}", comma(place), value(access))?;
    }
    out.write_all(b"]")
}

fn comma(place: usize) -> &'static str {
    if place == 0 { "" } else { "," }
}

fn place<T: Copy + PartialEq>(all: &[T], one: T) -> i64 {
    all.iter().position(|other| *other == one).and_then(|place| i64::try_from(place).ok()).unwrap_or_default()
}
