//! `bypassd list`

use std::fmt::Write as _;

use super::{CommandError, print};
use crate::cli::{List, Listing};
use crate::config::{self, detect, profile};
use crate::coverage;
use crate::event::detections;
use crate::event::text::escaped;
use crate::exit::Exit;
use crate::model::Class;
use crate::node::Root;
use crate::posture::checks;

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
        Listing::Checks => {
            for check in checks::ALL {
                let cis = check.cis.join(" ");
                line(format_args!(
                    "{:<39}  {:<8}  {}",
                    check.rule.id,
                    check.severity.name(),
                    check.rule.name
                ));
                line(format_args!("{:<39}  {:<8}  {}", "", "", check.mitigation));
                if !cis.is_empty() {
                    line(format_args!("{:<39}  {:<8}  CIS {cis}", "", ""));
                }
            }
        }
        Listing::Coverage => line(format_args!("{}", coverage::table(None).trim_end())),
        Listing::Profiles => {
            let detected = Root::here().map(|root| detect::detect(&root)).unwrap_or_default();
            for profile in profile::ALL {
                let found = detected.iter().position(|found| found.profile == profile.name);
                match found.and_then(|index| Some((index, detected.get(index)?))) {
                    Some((0, found)) => {
                        line(format_args!("{:<13} detected: {}", profile.name, found.evidence));
                    }
                    Some((_, found)) => {
                        line(format_args!("{:<13} fits, too: {}", profile.name, found.evidence));
                    }
                    None if detected.is_empty() && profile.name == profile::KUBEADM.name => {
                        line(format_args!(
                            "{:<13} used, because nothing here tells of another",
                            profile.name
                        ));
                    }
                    None => line(format_args!("{}", profile.name)),
                }
            }
            line(format_args!("{}", profile::NONE));
        }
    }
    print(&text)
}
