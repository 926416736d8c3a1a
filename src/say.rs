//! Lines for the operator, on standard error.

use std::fmt;
use std::io::{self, Write};

/// Writes one line. That nobody reads standard error any more is no reason to stop serving.
pub fn say(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
