//! Commands that look at the node through the kernel.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::formats::{BackendName, FormatName, OcsfClass, ReportFormat};
use super::values::{duration, size, way, window};
use crate::kernel::DEFAULT_WINDOW;

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
    /// As what `--format ocsf` has alerts
    #[arg(long, value_enum, default_value = "activity")]
    pub ocsf_class: OcsfClass,
    /// Append events to this file instead of stdout
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Begin a new file when one would be larger, as 100M: FILE.000001 and so on, with FILE as a link to the latest
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "output")]
    pub output_max_size: Option<u64>,
    /// How many files to keep beside the latest
    #[arg(long, value_name = "COUNT", default_value = "5", value_parser = clap::value_parser!(u32).range(..1000), requires = "output_max_size")]
    pub output_keep: u32,
    /// End with exit code 1 when there was an alert, or a violation from before the start
    #[arg(long)]
    pub exit_code: bool,
    /// Write expected accesses too
    #[arg(long)]
    pub show_allowed: bool,
    /// Count what a process repeats within this time instead of an event for each, as 5s; 0s for an event each
    #[arg(long, value_name = "TIME", value_parser = window, default_value = "5s")]
    pub repeat_window: Duration,
    /// Leave out alerts of a detection beyond so many a minute; they are counted, and the count is told
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub alerts_per_minute: Option<u32>,
    /// Serve /livez, /readyz and /metrics over HTTP there, as 127.0.0.1:9820
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub http: Option<SocketAddr>,
    /// Which hooks to use; the best that works if not given
    #[arg(long, value_enum)]
    pub backend: Option<BackendName>,
}

impl Run {
    /// Without any option but a policy file.
    pub fn by(config: Option<PathBuf>) -> Self {
        Self {
            config,
            watch_config: false,
            duration: None,
            format: None,
            ocsf_class: OcsfClass::Activity,
            output: None,
            output_max_size: None,
            output_keep: 0,
            exit_code: false,
            show_allowed: false,
            repeat_window: DEFAULT_WINDOW,
            alerts_per_minute: None,
            http: None,
            backend: None,
        }
    }
}

#[derive(Debug, Args)]
pub struct Watch {
    /// Show the events of this file, or of stdin for -, as `run --format native` writes them, instead of watching this node
    pub file: Option<PathBuf>,
    /// The policy file; without it the built-in profile is used
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    pub config: Option<PathBuf>,
    /// Show expected accesses too
    #[arg(long, conflicts_with = "file")]
    pub show_allowed: bool,
}

#[derive(Debug, Args)]
pub struct Snapshot {
    /// The policy file; without it the built-in profile is used
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How to write events; text on a terminal and native into a pipe or file if not given
    #[arg(long, value_enum)]
    pub format: Option<FormatName>,
    /// As what `--format ocsf` has alerts
    #[arg(long, value_enum, default_value = "activity")]
    pub ocsf_class: OcsfClass,
    /// Append events to this file instead of stdout
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write expected holders too
    #[arg(long)]
    pub show_allowed: bool,
}

#[derive(Debug, Args)]
pub struct Doctor {
    /// The policy file; without it the built-in profile is used
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Learn {
    /// Stop after this time, as 30s, 10m or 1h30m; else at Ctrl-C
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// The policy file to add to; without it the built-in profile is used
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Write the policy to this new file instead of stdout
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Allow what looks like an attack, too
    #[arg(long)]
    pub include_suspicious: bool,
    /// Learn from recorded events, as `run` writes them, instead of this node; - for stdin
    #[arg(long, value_name = "EVENTS", conflicts_with = "backend")]
    pub from: Option<PathBuf>,
    /// Which hooks to use; the best that works if not given
    #[arg(long, value_enum)]
    pub backend: Option<BackendName>,
}

#[derive(Debug, Args)]
pub struct Collect {
    /// Make this directory, and write everything into it
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// How long to watch, as 30s, 10m or 1h30m
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s")]
    pub duration: Duration,
    /// The policy file; without it the built-in profile is used
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Selftest {
    /// How to write the report
    #[arg(long, value_enum, default_value = "text")]
    pub format: ReportFormat,
    /// Which hooks to test; the best that works if not given
    #[arg(long, value_enum)]
    pub backend: Option<BackendName>,
    /// Only the ways that begin so, as unix or open.uring; `list coverage` has them all
    #[arg(value_name = "WAY", value_parser = way)]
    pub ways: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Touch {
    /// The way, as `list coverage` names it
    pub way: String,
    /// The directory with the targets
    pub dir: PathBuf,
    /// The port that is watched, and that somebody listens on
    pub open: u16,
    /// The port that is watched, and that nobody listens on
    pub closed: u16,
    /// What a second process uses: the number of a descriptor
    pub second: Option<i32>,
}
