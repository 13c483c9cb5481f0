//! `bypassd list`

use std::fmt::Write as _;

use super::{CommandError, print};
use crate::cli::{List, Listing};
use crate::config::{self, profile};
use crate::coverage;
use crate::event::detections;
use crate::event::text::escaped;
use crate::exit::Exit;
use crate::model::Class;

pub(super) fn list(opts: &List) -> Result<Exit, CommandError> {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let mut line = |line: std::fmt::Arguments<'_>| {
        let _infallible = writeln!(text, "{line}");
    };
    match opts.what {
        Listing::Classes => {
            for class in Class::ALL {
                line(format_args!("{:<20}  {}", class.name(), class.description()));
            }
        }
        Listing::Detections => {
            for detection in detections() {
                let (rule, severity) = (detection.rule, detection.severity());
                line(format_args!("{:<27}  {:<8}  {}", rule.id, severity.name(), rule.name));
            }
        }
        Listing::Rules => {
            for entry in config::load(opts.config.as_deref())?.rules {
                let (id, summary) = (escaped(&entry.value.id), escaped(&entry.value.summary()));
                line(format_args!("{id:<28}  {summary}"));
            }
        }
        Listing::Targets => {
            for entry in config::load(opts.config.as_deref())?.targets {
                let (class, name) = (entry.value.class.name(), escaped(&entry.value.name()));
                line(format_args!("{class:<20}  {name}"));
            }
        }
        Listing::Coverage => line(format_args!("{}", coverage::table(None).trim_end())),
        Listing::Profiles => {
            for name in profile::NAMES {
                line(format_args!("{name}"));
            }
        }
    }
    print(&text)
}
