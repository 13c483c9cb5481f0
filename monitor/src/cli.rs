//! What can be typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::model::Backend;

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
    /// Try what this kernel and these privileges can do, and say what would be seen
    Doctor(Doctor),
    /// Check or show the policy
    #[command(subcommand)]
    Config(Config),
    /// Say why a recorded access was a violation, and which rule would allow it
    Explain(Explain),
    /// Decide recorded events again, by another policy, and write those that are violations
    Replay(Replay),
    /// Print the JSON Schema of the events
    Schema,
    /// List what there is
    List(List),
    /// Use targets of its own in every harmless way, and say which uses were seen
    Selftest(Selftest),
    /// Go one way of a self-test
    #[command(hide = true)]
    Touch(Touch),
}

#[derive(Debug, Args)]
pub struct Run {
    /// The policy file; without it the built-in profile is used
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Read the policy file again whenever it changes, as on SIGHUP
    #[arg(long, requires = "config")]
    pub watch_config: bool,
    /// Stop after this time, as 30s, 10m or 1h30m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// How to write events; text on a terminal and native into a pipe or file if not given
    #[arg(long, value_enum)]
    pub format: Option<FormatName>,
    /// Append events to this file instead of stdout
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// End with exit code 1 when there was an alert, or a violation from before the start
    #[arg(long)]
    pub exit_code: bool,
    /// Write expected accesses too
    #[arg(long)]
    pub show_allowed: bool,
    /// Which hooks to use; the best that works if not given
    #[arg(long, value_enum)]
    pub backend: Option<BackendName>,
}

#[derive(Debug, Args)]
pub struct Doctor {
    /// The policy file; without it the built-in profile is used
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Explain {
    /// A file with one event as JSON; - for stdin
    pub event: PathBuf,
    /// The policy file; without it the built-in profile is used
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Replay {
    /// A file with an event a line, as `run` writes them; - for stdin
    pub file: PathBuf,
    /// The policy file; without it the built-in profile is used
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// End with exit code 1 when there is a violation
    #[arg(long)]
    pub exit_code: bool,
}

#[derive(Debug, Args)]
pub struct Selftest {
    /// How to write the report
    #[arg(long, value_enum, default_value = "text")]
    pub format: ReportFormat,
    /// Which hooks to test; the best that works if not given
    #[arg(long, value_enum)]
    pub backend: Option<BackendName>,
}

#[derive(Debug, Args)]
pub struct Touch {
    /// The way, as `list coverage` names it
    pub way: String,
    /// The directory with the targets
    pub dir: PathBuf,
    /// The port that is watched
    pub port: u16,
}

#[derive(Debug, Subcommand)]
pub enum Config {
    /// Check a policy file
    Validate {
        /// The policy file
        file: PathBuf,
    },
    /// Print the policy in force, and where each part is from
    Show {
        /// The policy file; without it the built-in profile is shown
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub struct List {
    #[arg(value_enum)]
    pub what: Listing,
    /// The policy file; without it the built-in profile is used
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Listing {
    /// Classes of targets
    Classes,
    /// Detections, with their severity
    Detections,
    /// Allow rules of the policy
    Rules,
    /// Targets of the policy
    Targets,
    /// Built-in profiles
    Profiles,
    /// Ways to a door, and what each backend sees of them
    Coverage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormatName {
    Native,
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// A line a way
    Text,
    /// An object a line
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BackendName {
    Auto,
    Fentry,
    Kprobe,
    Syscall,
}

impl BackendName {
    /// `None` for the best that works.
    pub fn wanted(self) -> Option<Backend> {
        match self {
            Self::Auto => None,
            Self::Fentry => Some(Backend::Fentry),
            Self::Kprobe => Some(Backend::Kprobe),
            Self::Syscall => Some(Backend::Syscall),
        }
    }
}

/// `1h30m`, in the units h, m and s, from large to small.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a time as 30s, 10m or 1h30m".to_owned();
    let duration: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(duration).ok().filter(|duration| !duration.is_zero()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Opts::command().debug_assert();
    }

    #[test]
    fn durations_are_read() {
        for (text, seconds) in [("30s", 30), ("10m", 600), ("1h30m", 5400)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "0s", "-3s", "30", "3 days", "x"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
