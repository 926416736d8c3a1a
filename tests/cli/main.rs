//! Both programs as their users see them: options, output, exit codes, and the files they leave.

mod compare;
mod contention;
mod doctor;
mod errors;
mod examples;
mod help;
mod load_assert;
mod load_cli;
mod load_interrupt;
mod manual;
mod many_hosts;
mod openmetrics;
mod pictures;
mod rates;
mod report;
mod results;
mod serve_cli;
#[path = "../support/mod.rs"]
mod support;
mod zones;
