//! `bypassd completions`

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{CommandError, print};
use crate::cli::{Completions, Opts};
use crate::exit::Exit;

pub(super) fn completions(opts: &Completions) -> Result<Exit, CommandError> {
    print(&script(opts.shell))
}

fn script(shell: Shell) -> String {
    let mut command = Opts::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_shell_gets_the_commands() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for word in ["bypassd", "selftest", "output-max-size"] {
                assert!(script.contains(word), "no {word} for {shell}");
            }
        }
    }
}
