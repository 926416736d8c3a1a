//! The forms in which a sweep is told.

mod json;
mod picture;
mod text;

pub use self::json::{SCHEMA, json, json_schema};
pub use self::picture::figure;
pub use self::text::text;
