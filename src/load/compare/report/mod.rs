//! The forms in which a comparison is told.

mod json;
mod picture;
mod text;

pub use self::json::{SCHEMA, json, json_schema};
pub(in crate::load) use self::picture::capitalized;
pub use self::picture::figure;
pub use self::text::text;
