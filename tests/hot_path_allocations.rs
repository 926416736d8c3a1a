//! A message costs the server no allocation, whatever the protocol and its size.
//!
//! One test in a program of its own: it counts the allocations of the whole process.

use std::alloc::System;

use ringback::testing::hot_paths;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Connections come and go there.
const CHURN: &str = "session/churn-64B";

#[test]
fn messages_cost_no_allocation() {
    let is_of_messages = |(name, _): &hot_paths::Entry| {
        (name.starts_with("core/") || name.starts_with("session/")) && *name != CHURN
    };
    for (name, make) in hot_paths::all().into_iter().filter(is_of_messages) {
        let mut path = make();
        (0..10).for_each(|_| path.repeat());
        let region = Region::new(ALLOCATOR);
        (0..10).for_each(|_| path.repeat());
        let counted = region.change();
        assert_eq!((counted.allocations, counted.reallocations), (0, 0), "{name}");
    }
}
