//! Pictures of reports and logs, as SVG: of one that was just measured, or of several read back.
//!
//! `run`, `series` and `hlog` say of each kind of result what is drawn, `together` puts them in one
//! picture, `comparison` two servers; `percentiles`, `over_time` and `load_curve` make charts of
//! them, `figure` and `chart` draw those: `legend`, and `curve` in a `plot`. Knows no files: what
//! was saved comes as bytes.

mod axis;
mod canvas;
mod chart;
mod comparison;
mod curve;
mod figure;
mod history;
mod hlog;
mod label;
mod legend;
mod load_curve;
mod over_time;
mod paper;
mod percentiles;
mod plot;
mod rates;
mod run;
mod saved;
mod series;
mod span;
mod throughput;
mod timeline;
mod together;
mod words;

pub use self::comparison::{Compared, comparison_picture};
pub use self::history::History;
pub use self::run::run_picture;
pub use self::saved::{ReadError, Saved, read};
pub use self::series::{search_picture, sweep_picture};
pub use self::together::{MixError, picture};

#[cfg(test)]
mod tests;
