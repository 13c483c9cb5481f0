//! A figure and its budget, as one line that `cargo xtask bench` picks out of the output.

use crate::running::place;

/// What a figure has to be.
pub enum Budget {
    AtMost(f64),
    AtLeast(f64),
    /// Measured to know it.
    None,
}

/// Writes a figure; `note` says how it spreads or what it was made of.
pub fn figure(what: &str, value: f64, unit: &str, note: &str, budget: &Budget) {
    let number = |value: f64| {
        let digits = if value >= 100.0 || value.fract() == 0.0 { 0 } else { 2 };
        format!("{value:.digits$}{unit}")
    };
    let (limit, kept) = match budget {
        Budget::AtMost(limit) => (format!("at most {}", number(*limit)), Some(value <= *limit)),
        Budget::AtLeast(limit) => (format!("at least {}", number(*limit)), Some(value >= *limit)),
        Budget::None => (String::new(), None),
    };
    let verdict = kept.map_or("", |kept| if kept { "kept" } else { "missed" });
    let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
    println!("bench:\t{}\t{what}\t{}{note}\t{limit}\t{verdict}", place(), number(value));
}

/// Sorted, for the median and the like.
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The value below which this share of all lies.
    pub fn at(&self, percent: usize) -> f64 {
        let index = (self.0.len().saturating_sub(1) * percent).div_ceil(100);
        self.0.get(index).copied().unwrap_or(f64::NAN)
    }

    pub fn median(&self) -> f64 {
        self.at(50)
    }

    /// Between which the middle half lies.
    pub fn spread(&self) -> String {
        format!("middle half {:.2} to {:.2}", self.at(25), self.at(75))
    }
}
