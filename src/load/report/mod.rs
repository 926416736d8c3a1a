//! Reports: one document a command, as text, as JSON, and read back.

mod assemble;
pub mod document;
pub mod form;
mod hgrm;
mod histogram;
pub mod hlog;
mod json;
mod merged;
pub mod page;
pub mod probes;
pub mod search;
mod strip;
pub mod sweep;
mod table;
#[cfg(test)]
pub(super) mod testing;
pub(super) mod text;
pub(super) mod words;

pub use self::document::Report;
pub use self::hgrm::hgrm;
pub use self::json::{json, json_schema};
pub use self::merged::{
    Gap, Merged, MergedRun, Scrape, ScrapeError, ServerTotals, Verdict as MergedVerdict,
};
pub use self::text::{announcement, head, pace};
