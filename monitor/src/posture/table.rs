//! Findings for people: the worst first, each with why, what it rests on, and what to do.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::event::text::{escaped, harmless};
use crate::event::{Evidence, Posture, PostureResult, Rule};

/// As wide as a result.
const INDENT: &str = "          ";

/// What is shown of one value.
const VALUE_MAX: usize = 120;

/// The whole report. `about` says which node it is.
pub fn table(about: &str, found: &[(Rule, Posture)], colour: bool) -> String {
    let mut text = format!("{}\n\n", harmless(about));
    let mut found: Vec<_> = found.iter().collect();
    found.sort_by_key(|(_, posture)| std::cmp::Reverse(posture.result));
    for (rule, posture) in &found {
        // Writing to a String cannot fail.
        let _infallible = write(&mut text, rule, posture, colour);
    }
    let results: Vec<_> = found.iter().map(|(_, posture)| posture.result).collect();
    text + "\n" + &summary(&results) + "\n"
}

fn write(out: &mut String, rule: &Rule, posture: &Posture, colour: bool) -> std::fmt::Result {
    let Posture { result, class: _, detail, evidence, omitted, mitigation, cis } = posture;
    let style = if colour { style(*result) } else { Style::new() };
    let word = word(*result).to_uppercase();
    writeln!(out, "{style}{word:<8}{style:#}  {:<39}  {}", rule.id, harmless(detail))?;
    if *result <= PostureResult::Pass {
        return Ok(());
    }
    for evidence in evidence.iter().filter(|evidence| evidence.result > PostureResult::Pass) {
        writeln!(out, "{INDENT}  {}", described(evidence))?;
    }
    // The worst come first, so that there are more of them only if all are.
    if *omitted > 0 && evidence.iter().all(|evidence| evidence.result > PostureResult::Pass) {
        writeln!(out, "{INDENT}  and {omitted} more")?;
    }
    if *result > PostureResult::Unknown {
        writeln!(out, "{INDENT}do    {mitigation}")?;
    }
    if !cis.is_empty() {
        writeln!(out, "{INDENT}CIS   {}", cis.join(" "))?;
    }
    Ok(())
}

/// `key = value (flag, kubelet[812])`
fn described(evidence: &Evidence) -> String {
    let Evidence { result: _, origin, process, file, file_b64: _, key, value } = evidence;
    let value = value.as_ref().map_or_else(|| "not set".to_owned(), |value| cut(&escaped(value)));
    let place = file.iter().chain(process).map(|text| cut(&escaped(text)));
    let place: Vec<_> = [origin.name().to_owned()].into_iter().chain(place).collect();
    format!("{} = {value}  ({})", cut(&escaped(key)), place.join(", "))
}

fn cut(text: &str) -> String {
    let more = if text.chars().nth(VALUE_MAX).is_some() { "…" } else { "" };
    text.chars().take(VALUE_MAX).chain(more.chars()).collect()
}

/// How many there are of each, the worst first.
fn summary(results: &[PostureResult]) -> String {
    use PostureResult::{Fail, NotApplicable, Pass, Unknown, Warn};
    let count = |result| results.iter().filter(|known| **known == result).count();
    let counts = [Fail, Warn, Unknown, Pass, NotApplicable]
        .map(|result| format!("{} {}", count(result), word(result)));
    counts.join(", ")
}

const fn word(result: PostureResult) -> &'static str {
    match result {
        PostureResult::NotApplicable => "not here",
        _ => result.name(),
    }
}

fn style(result: PostureResult) -> Style {
    match result {
        PostureResult::NotApplicable => Style::new().dimmed(),
        PostureResult::Pass => AnsiColor::Green.on_default(),
        PostureResult::Unknown => AnsiColor::Magenta.on_default(),
        PostureResult::Warn => AnsiColor::Yellow.on_default(),
        PostureResult::Fail => AnsiColor::Red.on_default().bold(),
    }
}
