use monitor::fuzzing::manifest as summary;
use serde_json::Value;

/// A static pod manifest, which anybody can write. Whatever it is, the summary is small, and a problem quotes nothing.
pub fn manifest(data: &[u8]) {
    let json = summary(data).expect("a summary can be written");
    assert!(json.len() < 128 << 10, "{} bytes", json.len());
    let manifest: Value = serde_json::from_slice(&json).expect("what was written can be read");
    if let Some(problem) = manifest.get("problem").and_then(Value::as_str) {
        assert!(problem.starts_with("it ") && problem.len() < 100, "{problem}");
        assert!(manifest["pods"].as_array().is_some_and(Vec::is_empty), "{manifest}");
    }
}
