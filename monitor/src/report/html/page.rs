//! Text that becomes a page. What is not written in this program's source goes through `text`.

use crate::event::text::harmless;
use crate::model::Severity;
use crate::report::escape;

/// Columns whose cells are aligned by their last digit.
const NUMBERS: [&str; 9] =
    ["#", "Accesses or events", "Allowed", "Bytes", "Events", "Left out", "Line", "Missing", "Violations"];

#[derive(Debug, Default)]
pub struct Html(pub String);

impl Html {
    /// Markup, which no recorded string can be.
    pub fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        escape::html(&mut self.0, text);
        self
    }

    /// With its thousands apart.
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.text(&grouped(number))
    }

    /// One that belongs to the text around it, and turns no reading direction beyond itself.
    pub fn code(&mut self, text: &str) -> &mut Self {
        self.raw("<code>").text(text).raw("</code>")
    }

    /// A cell of the text.
    pub fn cell(&mut self, text: &str) -> &mut Self {
        self.raw("<td>").text(text).raw("</td>")
    }

    pub fn count(&mut self, number: u64) -> &mut Self {
        self.raw("<td class=n>").number(number).raw("</td>")
    }

    pub fn severity(&mut self, severity: Option<Severity>) -> &mut Self {
        let (markup, name) = match severity {
            Some(Severity::Critical) => ("<b class='s critical'>", "critical"),
            Some(Severity::High) => ("<b class='s high'>", "high"),
            Some(Severity::Medium) => ("<b class='s medium'>", "medium"),
            Some(Severity::Low) => ("<b class='s low'>", "low"),
            Some(Severity::Info) | None => ("<b class='s info'>", "info"),
        };
        self.raw(markup).raw(name).raw("</b>")
    }

    /// The beginning of a table that may be wider than the screen.
    pub fn table(&mut self, caption: &'static str, columns: &[&'static str]) -> &mut Self {
        self.raw("<div class=wide role=region tabindex=0 aria-label=\"")
            .raw(caption)
            .raw("\"><table><thead><tr>");
        for column in columns {
            let is_number = NUMBERS.contains(column);
            self.raw(if is_number { "<th scope=col class=n>" } else { "<th scope=col>" });
            self.raw(column).raw("</th>");
        }
        self.raw("</tr></thead><tbody>")
    }

    pub fn end_table(&mut self) -> &mut Self {
        self.raw("</tbody></table></div>")
    }

    /// How many more there are than are shown.
    pub fn more(&mut self, all: usize, shown: usize, what: &'static str) -> &mut Self {
        if all > shown {
            self.raw("<p class=more>")
                .number((all - shown) as u64)
                .raw(" more ")
                .raw(what)
                .raw(" not shown here.</p>");
        }
        self
    }
}

pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Of a list, spelled out.
pub fn joined(list: &[String]) -> String {
    harmless(&list.iter().map(|text| escape::shown(text)).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
