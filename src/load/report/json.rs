//! Documents for programs, and their schemas, both made from the same types.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;

/// A document as one JSON object, ended by a line feed.
pub fn json(document: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(document)
        .expect("documents hold strings and finite numbers only");
    text.push('\n');
    text
}

/// The JSON Schema (draft 2020-12) of a document, ended by a line feed.
pub fn json_schema<T: JsonSchema>() -> String {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    json(&settings.into_generator().into_root_schema_for::<T>())
}
