//! Files that a measurement leaves behind: other tools read them, and they are whole or not there.

mod files;
mod hlog;
mod merge;
mod parts;
mod progress;
pub(crate) mod python;
mod schema;
mod support;
mod writers;
