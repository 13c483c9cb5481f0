//! One HTML file of recorded events, for whoever looks into what happened. It opens from disk, fetches nothing, and nothing that was
//! recorded has a meaning in it but as text.
//!
//! `record` is a line, `input` a file of lines, `gather` what they tell together, `html` the page.

pub mod escape;
mod gather;
mod html;
mod input;
mod processes;
pub mod record;
mod runs;
mod strings;
mod tally;
mod words;

use std::io::{self, BufRead, Write};

use self::gather::Collected;
use self::input::Input;

#[derive(Debug, Default)]
pub struct Report {
    inputs: Vec<Input>,
    collected: Collected,
}

impl Report {
    /// Adds a file to its end; says how many of its lines were of use. The name is spelled out.
    pub fn read(
        &mut self,
        name: &str,
        source: &mut dyn BufRead,
        complain: impl FnMut(&str),
    ) -> io::Result<u64> {
        let number = u32::try_from(self.inputs.len()).unwrap_or(u32::MAX);
        let input = Input::read(name, number, source, &mut self.collected, complain)?;
        let usable = input.usable;
        self.inputs.push(input);
        Ok(usable)
    }

    /// The page.
    pub fn write(mut self, out: &mut dyn Write) -> io::Result<()> {
        self.collected.finish();
        html::write(out, &self.inputs, &self.collected)
    }
}

#[cfg(test)]
mod tests;
