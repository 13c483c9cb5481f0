//! The outcome of a check, as it is put together: the worst of what was found counts.

use super::checks::Check;
use super::settings::{Setting, Settings};
use crate::event::text::escaped_bytes;
use crate::event::{Evidence, Origin, Posture, PostureResult};

/// More in an event help nobody.
const EVIDENCE_MAX: usize = 16;
const REASONS_MAX: usize = 4;
const TEXT_MAX: usize = 512;

/// Evidence that is kept while a check goes on.
const KEPT_MAX: usize = 4096;

pub struct Finding {
    pub check: &'static Check,
    reasons: Vec<(PostureResult, String)>,
    evidence: Vec<Evidence>,
    omitted: u64,
}

impl Finding {
    pub(super) fn new(check: &'static Check) -> Self {
        Self { check, reasons: Vec::new(), evidence: Vec::new(), omitted: 0 }
    }

    pub(super) fn say(&mut self, result: PostureResult, why: impl Into<String>) {
        let why = why.into();
        let known = self.reasons.iter().any(|(known, reason)| *known == result && *reason == why);
        if !known && self.reasons.len() < KEPT_MAX {
            self.reasons.push((result, why));
        }
    }

    pub(super) fn show(&mut self, result: PostureResult, evidence: Evidence) {
        if self.evidence.len() < KEPT_MAX {
            self.evidence.push(Evidence { result, ..evidence });
        } else {
            self.omitted += 1;
        }
    }

    /// With what it rests on.
    pub(super) fn add(&mut self, result: PostureResult, why: impl Into<String>, evidence: Evidence) {
        self.say(result, why);
        self.show(result, evidence);
    }

    pub(super) fn unknown(&mut self, why: impl Into<String>) {
        self.say(PostureResult::Unknown, why);
    }

    pub(super) fn absent(&mut self, why: impl Into<String>) {
        self.say(PostureResult::NotApplicable, why);
    }

    /// A setting of a program. What is fine by its files alone is not known to be fine.
    pub(super) fn setting(
        &mut self,
        result: PostureResult,
        why: impl Into<String>,
        settings: &Settings<'_>,
        key: &str,
        setting: Option<&Setting>,
    ) {
        let evidence = settings.evidence(key, setting);
        match (&settings.unsure, result) {
            (Some(unsure), PostureResult::Pass) => self.add(PostureResult::Unknown, unsure.clone(), evidence),
            _ => self.add(result, why, evidence),
        }
    }

    /// A check of files of which none was found.
    pub(super) fn none(&mut self) {
        if self.reasons.is_empty() {
            self.absent("there are no such files here");
        }
    }

    pub fn result(&self) -> PostureResult {
        let results = self.reasons.iter().map(|(result, _)| *result);
        results.max().unwrap_or(PostureResult::NotApplicable)
    }

    pub fn posture(mut self) -> Posture {
        let result = self.result();
        self.reasons.sort_by_key(|(result, _)| std::cmp::Reverse(*result));
        let mut reasons: Vec<_> = self.reasons.iter().map(|(_, why)| why.as_str()).collect();
        // What is fine is of no interest where something is not.
        if result > PostureResult::Pass {
            let wrong = self.reasons.iter().filter(|(result, _)| *result > PostureResult::Pass).count();
            reasons.truncate(wrong);
        }
        let more = reasons.len().saturating_sub(REASONS_MAX);
        reasons.truncate(REASONS_MAX);
        let mut detail = reasons.join("; ");
        if more > 0 {
            detail += &format!("; and {more} more");
        }
        self.evidence.sort_by_key(|evidence| std::cmp::Reverse(evidence.result));
        let omitted = self.omitted + self.evidence.len().saturating_sub(EVIDENCE_MAX) as u64;
        let evidence = self.evidence.into_iter().take(EVIDENCE_MAX).map(cut);
        Posture {
            result,
            class: self.check.class,
            detail,
            evidence: evidence.collect(),
            omitted,
            mitigation: self.check.mitigation,
            cis: self.check.cis,
        }
    }
}

fn cut(mut evidence: Evidence) -> Evidence {
    let Evidence { result: _, origin: _, process: _, file, file_b64, key, value } = &mut evidence;
    for text in [file, value].into_iter().flatten().chain([key]) {
        text.truncate(text.floor_char_boundary(TEXT_MAX));
    }
    if file_b64.as_ref().is_some_and(|text| text.len() > 2 * TEXT_MAX) {
        *file_b64 = None;
    }
    evidence
}

/// Something of the node itself.
pub(super) fn of_node(file: &std::path::Path, key: &str, value: impl Into<String>) -> Evidence {
    let evidence = Evidence {
        result: PostureResult::Pass,
        origin: Origin::Node,
        process: None,
        file: None,
        file_b64: None,
        key: key.to_owned(),
        value: Some(value.into()),
    };
    evidence.at(file.as_os_str().as_encoded_bytes())
}

/// A path in a sentence.
pub(super) fn named(path: &std::path::Path) -> String {
    let text = escaped_bytes(path.as_os_str().as_encoded_bytes());
    text[..text.floor_char_boundary(TEXT_MAX)].to_owned()
}
