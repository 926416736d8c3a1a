//! Checks, by subject.

pub(super) mod cpu;
pub(super) mod limits;
pub(super) mod memory;
pub(super) mod network;
pub(super) mod ring;
pub(super) mod sandbox;
pub(super) mod serving;
