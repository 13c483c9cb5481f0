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

/// The same without room for properties it does not describe, at any depth: a typing error in an optional property shows only here.
pub fn strict() -> Value {
    let mut schema = schema();
    close(&mut schema);
    schema
}

/// Closes what describes a value of its own. A definition is closed where it is used, for what else describes the same value.
fn close(schema: &mut Value) {
    if let Value::Object(object) = schema {
        object.insert("unevaluatedProperties".to_owned(), json!(false));
    }
    close_parts(schema);
}

fn close_parts(schema: &mut Value) {
    let Value::Object(object) = schema else { return };
    for (key, part) in object {
        match (key.as_str(), part) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(close),
            ("items" | "additionalProperties", part) => close(part),
            ("$defs", Value::Object(definitions)) => definitions.values_mut().for_each(close_parts),
            ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => parts.iter_mut().for_each(close_parts),
            _ => {}
        }
    }
}
