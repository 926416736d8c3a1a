//! Files that a measurement leaves behind: other tools read them, and they are whole or not there.

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
