//! The doors, and when each was used.

use super::Page;
use super::page::{Html, grouped};
use super::summary::worst;
use crate::model::{Class, Severity};
use crate::report::gather::Access;
use crate::report::words::time;

/// Pieces of the time from the first access to the last.
const BINS: usize = 120;
const HEIGHT: u32 = 24;

#[derive(Clone, Copy, Default)]
struct Bin {
    violations: u64,
    allowed: u64,
    worst: Option<Severity>,
}

impl Bin {
    fn add(&mut self, access: &Access) {
        if access.is_violation {
            self.violations = self.violations.saturating_add(access.count);
            self.worst = self.worst.max(Some(access.severity));
        } else {
            self.allowed = self.allowed.saturating_add(access.count);
        }
    }

    fn all(self) -> u64 {
        self.violations.saturating_add(self.allowed)
    }
}

pub fn doors(html: &mut Html, page: &Page<'_>) {
    let accesses = &page.collected.accesses;
    let (Some(first), Some(last)) = (accesses.first(), accesses.last()) else {
        html.raw("<p>No access to a door was recorded.</p>");
        return;
    };
    let span = Span { first: first.at, length: last.at.saturating_sub(first.at).max(1) };
    html.table("Doors", &["Door", "Worst", "Violations", "Allowed", "When"]);
    for class in Class::ALL {
        let (mut sum, mut bins) = (Bin::default(), [Bin::default(); BINS]);
        for access in accesses.iter().filter(|access| access.class == class) {
            sum.add(access);
            if let Some(bin) = bins.get_mut(span.bin(access.at)) {
                bin.add(access);
            }
        }
        if sum.all() == 0 {
            continue;
        }
        html.raw("<tr><th scope=row><code>").raw(class.name()).raw("</code><small>").raw(class.description());
        html.raw("</small></th>");
        worst(html, sum.worst);
        html.count(sum.violations).count(sum.allowed).raw("<td class=when>");
        strip(html, &bins);
        html.raw("</td></tr>");
    }
    html.end_table();
    html.raw("<p class=axis>When: from <time>").text(&time(first.at)).raw("</time> on the left to <time>");
    html.text(&time(last.at)).raw("</time> on the right, ");
    html.text(&pieces(span.length)).raw(" a bar; higher is more, on a logarithmic scale.</p>");
    let unused: Vec<_> =
        Class::ALL.into_iter().filter(|class| accesses.iter().all(|access| access.class != *class)).collect();
    if !unused.is_empty() {
        let names: Vec<_> = unused.iter().map(|class| class.name()).collect();
        html.raw("<p class=more>Not used: ").text(&names.join(", ")).raw(".</p>");
    }
}

struct Span {
    first: i64,
    length: i64,
}

impl Span {
    fn bin(&self, at: i64) -> usize {
        let (since, length) = (i128::from(at) - i128::from(self.first), i128::from(self.length));
        let bin = (since * BINS as i128 / length).clamp(0, BINS as i128 - 1);
        usize::try_from(bin).unwrap_or_default()
    }
}

/// How long a bar is.
fn pieces(length: i64) -> String {
    let microseconds = u64::try_from(length).unwrap_or_default() / BINS as u64;
    match microseconds {
        0..1_000 => format!("{microseconds} µs"),
        1_000..1_000_000 => format!("{} ms", microseconds / 1_000),
        1_000_000..120_000_000 => format!("{} s", microseconds / 1_000_000),
        120_000_000..7_200_000_000 => format!("{} min", microseconds / 60_000_000),
        _ => format!("{} h", grouped(microseconds / 3_600_000_000)),
    }
}

fn strip(html: &mut Html, bins: &[Bin; BINS]) {
    let most = bins.iter().map(|bin| bin.all()).max().unwrap_or(1);
    // The numbers are in the table, so that nothing is lost to who does not see it.
    html.raw("<svg viewBox=\"0 0 120 24\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
    for (place, bin) in bins.iter().enumerate().filter(|(_, bin)| bin.all() > 0) {
        let height = height(bin.all(), most);
        html.raw("<rect width=\"1\" x=\"")
            .number(place as u64)
            .raw("\" y=\"")
            .number(u64::from(HEIGHT - height));
        html.raw("\" height=\"").number(u64::from(height)).raw(match bin.worst {
            Some(Severity::Critical) => "\" class=\"critical\"/>",
            Some(Severity::High) => "\" class=\"high\"/>",
            Some(Severity::Medium) => "\" class=\"medium\"/>",
            Some(Severity::Low | Severity::Info) => "\" class=\"low\"/>",
            None => "\" class=\"allowed\"/>",
        });
    }
    html.raw("</svg>");
}

/// By the number of binary digits. One access is seen as well as a million.
fn height(count: u64, most: u64) -> u32 {
    const LEAST: u32 = 6;
    let (bits, all) = (count.max(1).ilog2(), most.max(1).ilog2().max(1));
    let full = if most <= 1 { 0 } else { (HEIGHT - LEAST) * bits.min(all) / all };
    LEAST + full
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_seen_and_fit() {
        for (count, most, expected) in
            [(1, 1, 6), (1, 1000, 6), (1000, 1000, 24), (u64::MAX, u64::MAX, 24), (0, 0, 6)]
        {
            assert_eq!(height(count, most), expected, "{count} of {most}");
        }
    }

    #[test]
    fn every_moment_has_a_bar() {
        let span = Span { first: -5, length: 10 };
        assert_eq!([-5, 0, 5, i64::MAX, i64::MIN].map(|at| span.bin(at)), [0, 60, 119, 119, 0]);
        let whole = Span { first: i64::MIN, length: i64::MAX };
        assert_eq!(whole.bin(i64::MAX), 119);
    }
}
