//! What a measurement leaves behind: files that other tools read, and files that are whole or not
//! there.

mod files;
mod hlog;
mod merge;
mod progress;
mod python;
mod schema;
mod support;
#[path = "../support/tools.rs"]
#[expect(dead_code, unreachable_pub, reason = "other tests need the rest")]
mod tools;
mod writers;
