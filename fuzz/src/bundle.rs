use monitor::fuzzing::bundle as parse;
use serde_json::Value;

/// The configuration of a container, which may be damaged. Only what is an annotation is kept of it, and nothing is quoted.
pub fn bundle(data: &[u8]) {
    for kept in parse(data) {
        match kept {
            Ok(kept) => {
                // What is skipped may be no text, and a struct can be written as a list, too.
                let Ok(json) = serde_json::from_slice::<Value>(data) else { continue };
                let Some(annotations) = json.get("annotations").and_then(Value::as_object) else { continue };
                for text in kept {
                    let found = annotations.values().any(|value| value.as_str() == Some(&text));
                    assert!(found && !text.is_empty() && text.len() <= 1024, "{text:?}");
                }
            }
            Err(why) => assert!(why.starts_with("it ") && why.len() < 60, "{why}"),
        }
    }
}
