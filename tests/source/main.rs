//! Rules that the source keeps: which folder may import which, how documentation reads, and that what it
//! names exists.

mod layers;
mod links;
mod sources;
mod style;
