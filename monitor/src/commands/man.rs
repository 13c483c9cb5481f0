//! `bypassd man`

use std::io;
use std::path::Path;

use clap::CommandFactory as _;

use super::{CommandError, print};
use crate::cli::{Man, Opts};
use crate::event::text::escaped;
use crate::exit::Exit;

pub(super) fn man(opts: &Man) -> Result<Exit, CommandError> {
    match &opts.output {
        Some(dir) => pages(dir).map(|()| Exit::Fine).map_err(|source| {
            let name = escaped(&dir.to_string_lossy());
            CommandError::Pages { name, source }
        }),
        None => print(&page().map_err(|source| CommandError::Io { doing: "cannot write a page", source })?),
    }
}

/// What it says about the program as a whole.
fn page() -> io::Result<String> {
    let mut page = Vec::new();
    // Without it the page would name one of the command `help`, which has none.
    clap_mangen::Man::new(Opts::command().disable_help_subcommand(true)).render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// That page and one of each command, by the names under which `man` looks for them.
fn pages(dir: &Path) -> io::Result<()> {
    clap_mangen::generate_to(Opts::command(), dir)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn there_is_a_page_of_each_command() {
        let dir = tempfile::tempdir().unwrap();
        pages(dir.path()).unwrap();
        for (name, word) in [
            ("bypassd", "bypassd\\-selftest"),
            ("bypassd-run", "\\-\\-watch\\-config"),
            ("bypassd-config-show", "\\-\\-effective"),
        ] {
            let page = fs::read_to_string(dir.path().join(format!("{name}.1"))).unwrap();
            assert!(page.contains(word), "no {word} in {page}");
        }
        assert_eq!(fs::read_to_string(dir.path().join("bypassd.1")).unwrap(), page().unwrap());
        // Hidden commands are nobody's to use.
        assert!(!dir.path().join("bypassd-touch.1").exists());
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let opts = Man { output: Some("/nonexistent/pages".into()) };
        let error = man(&opts).unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.to_string().starts_with("/nonexistent/pages: "), "{error}");
    }
}
