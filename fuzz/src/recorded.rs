use monitor::fuzzing::policy;
use monitor::replay::{Recorded, decide, suggest};
use serde_json::Value;

/// An event that somebody recorded, or says so. The rule that is suggested for it can be loaded, and allows it.
pub fn recorded(data: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Value>(data) else { return };
    let Ok(recorded) = Recorded::read(&event) else { return };
    let _nobody = decide(&[], &recorded);
    let Ok(rule) = suggest(&recorded) else { return };
    let verdict = decide(std::slice::from_ref(&rule), &recorded);
    assert!(!verdict.is_violation(), "{verdict:?} {rule:?}");
    let text = format!("version: 1\nprofile: none\nallow:\n{}", rule.to_yaml());
    let loaded = policy(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(loaded.rules.first().map(|entry| &entry.value), Some(&rule), "{text}");
}
