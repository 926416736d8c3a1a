//! The forms in which a comparison is told.

mod json;
mod text;

pub use self::json::{SCHEMA, json, json_schema};
pub use self::text::text;
