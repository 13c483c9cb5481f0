//! The JSON Schema of the events, made from the types that are written.

use serde_json::{Value, json};

use super::Event;

/// What `bypassd schema` prints. Unknown properties are valid, because minor versions add some.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Event).to_value();
    schema["$id"] = json!(format!("urn:bypassd:event:{}", super::SCHEMA));
    schema["title"] = json!("bypassd event");
    schema
}
