//! Looking into events.

use anyhow::{Result, bail};
use serde_json::Value;

/// What the event holds at a JSON pointer; null when nothing.
pub fn at<'a>(event: &'a Value, pointer: &str) -> &'a Value {
    event.pointer(pointer).unwrap_or(&Value::Null)
}

/// Every value of `wanted` has to be in `event` at the same place.
pub fn expect(event: &Value, wanted: &Value) -> Result<()> {
    let mut differences = Vec::new();
    compare("", event, wanted, &mut differences);
    if differences.is_empty() {
        return Ok(());
    }
    bail!("{}\nin {event:#}", differences.join("\n"))
}

fn compare(place: &str, found: &Value, wanted: &Value, differences: &mut Vec<String>) {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            for (key, wanted) in wanted {
                compare(
                    &format!("{place}/{key}"),
                    found.get(key).unwrap_or(&Value::Null),
                    wanted,
                    differences,
                );
            }
        }
        _ if found == wanted => {}
        _ => differences.push(format!("{place} is {found}, not {wanted}")),
    }
}
