//! Runs as pictures: one that just ended, or several read back from what they saved.
//!
//! Here is decided what a picture of a run shows; how it is drawn is [`chart`](super::chart)'s
//! matter. Knows no files: what was saved comes as bytes.

mod history;
mod hlog;
mod json;
mod run;
mod saved;
mod sweep;

pub use self::history::History;
pub use self::run::{Run, of_report};
pub use self::saved::{MixError, ReadError, Saved, of_saved, read};
pub use self::sweep::Sweep;

#[cfg(test)]
mod tests;
