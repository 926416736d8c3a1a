//! Rules that the source keeps: which folder may import which, and how documentation reads.

mod layers;
mod sources;
mod style;
