//! Measurements that the host spoils.

use std::process::Output;

/// The words of reports for a host that ran something else meanwhile.
const WORDS: [&str; 4] = [" waited ", " stood still ", " share CPU", "the hypervisor ran "];

/// Returns whether a reason of a verdict is the host's alone.
pub fn is_at_fault(reason: &str) -> bool {
    WORDS.iter().any(|words| reason.contains(words))
}

/// Returns whether a measurement is not valid, and its host is among the reasons: no test of the
/// programs can change that, so the test says that it ends here.
pub fn spoiled(output: &Output) -> bool {
    let report = String::from_utf8_lossy(&output.stdout);
    let is_spoiled = output.status.code() == Some(4) && is_at_fault(&report);
    if is_spoiled {
        eprintln!("skipped: other load on this host made the measurement invalid");
    }
    is_spoiled
}
