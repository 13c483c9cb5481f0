//! What the daemon costs, beside its budgets. Measured by the test package's `bench`, on this machine and in a guest, where the
//! better hooks are.

use std::process::Command;

use anyhow::Result;

use crate::build::{self, object};
use crate::{command, vm};

#[derive(clap::Args)]
pub struct Args {
    /// Fewer rounds: a minute instead of many, and more noise
    #[arg(long)]
    quick: bool,
    /// Only what is measured on this machine, or in the guest
    #[arg(long = "in", value_name = "PLACE")]
    place: Option<Place>,
    /// Only these: start, opens, latency, flood, size; in the guest hook, opens, workload
    names: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Place {
    Native,
    Guest,
}

pub fn run(args: &Args) -> Result<()> {
    let bypassd = build::daemon(true)?;
    let programs = build::test_programs()?;
    let quick = args.quick.then(|| "--quick".to_owned());
    let options: Vec<_> = quick.into_iter().chain(args.names.iter().cloned()).collect();
    let mut rows = Vec::new();
    if args.place != Some(Place::Guest) {
        let mut bench = Command::new(&programs.bench);
        bench.arg("native").args(&options).env("BYPASSD_BIN", &bypassd);
        rows.extend(Row::all(&command::output(&mut bench)?));
    }
    if args.place != Some(Place::Native) {
        let arguments = [vec!["guest".to_owned()], options].concat();
        let output = vm::bench(&bypassd, &programs, &object::build_empty()?, arguments)?;
        rows.extend(Row::all(&output));
    }
    print(&rows);
    Ok(())
}

/// What was measured, as the benchmarks write it: cells with tabs between.
struct Row(Vec<String>);

impl Row {
    fn all(output: &str) -> impl Iterator<Item = Self> {
        // A guest's console has words of the firmware before the first.
        let rows = output.lines().filter_map(|line| line.split_once("bench:\t"));
        rows.map(|(_, row)| Self(row.trim_end().split('\t').map(str::to_owned).collect()))
    }
}

/// As a table that Markdown takes, too.
fn print(rows: &[Row]) {
    println!("| where | what | measured | budget | |\n|---|---|---|---|---|");
    for Row(cells) in rows {
        println!("| {} |", cells.join(" | "));
    }
}

#[cfg(test)]
mod tests {
    use super::Row;

    #[test]
    fn rows_are_found_among_other_lines() {
        let rows: Vec<_> = Row::all("booting\nbench:\ta\tb\nbench: no row\n").collect();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].0, ["a", "b"]);
    }
}
