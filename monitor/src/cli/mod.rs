//! What can be typed.

mod formats;
mod records;
mod values;
mod watching;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use self::formats::{BackendName, FormatName, OcsfClass, PostureFormat, RecordFormat, ReportFormat};
pub use self::records::{Config, Explain, FailOn, List, Listing, Posture, Replay, Report};
pub use self::watching::{Collect, Doctor, Learn, Run, Selftest, Snapshot, Touch, Watch};

#[derive(Debug, Parser)]
#[command(name = "bypassd", version, about = "Shows who goes around the Kubernetes API server on this node")]
#[command(max_term_width = 100, propagate_version = true)]
pub struct Opts {
    /// Log more on stderr; repeat for more
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch the node and write an event for every access that no rule allows
    Run(Run),
    /// Show the accesses on this terminal as they come
    Watch(Watch),
    /// Write who holds a door now, and end
    Snapshot(Snapshot),
    /// Try what this kernel and these privileges can do, and say what would be seen
    Doctor(Doctor),
    /// Check or show the policy
    #[command(subcommand)]
    Config(Config),
    /// Say why a recorded access was a violation, or what a process may do, and which rule would allow it
    Explain(Explain),
    /// Watch without alerting, and write a policy that allows what was seen and no more
    Learn(Learn),
    /// Decide recorded events again, by another policy, and write those that are violations
    Replay(Replay),
    /// Make one HTML file of recorded events, to read and to hand on
    Report(Report),
    /// Look at the node, watch it for a while, and make a report of both: all that a responder needs, in one directory
    Collect(Collect),
    /// Print the JSON Schema of the events
    Schema,
    /// List what there is
    List(List),
    /// Check how far the doors of this node are shut, and say what is wrong and what to do
    Posture(Posture),
    /// Use targets of its own in every harmless way, and say which uses were seen
    Selftest(Selftest),
    /// Print what a shell needs to complete this program's commands and options
    Completions(Completions),
    /// Print the manual page
    Man(Man),
    /// Go one way of a self-test
    #[command(hide = true)]
    Touch(Touch),
}

#[derive(Debug, Args)]
pub struct Completions {
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub struct Man {
    /// Write the page, and one of each command, into this directory
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Opts::command().debug_assert();
    }
}
