//! The JSON Schema of the events, made from the types that are written.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::Event;

/// What `bypassd schema` prints. Unknown properties are valid, because minor versions add some.
pub fn schema() -> Value {
    // As written, a property that is left out when empty is not required.
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<Event>().to_value();
    schema["$id"] = json!(format!("urn:bypassd:event:{}", super::SCHEMA));
    schema["title"] = json!("bypassd event");
    schema
}
