//! Measurements that the host spoils.

use std::process::Output;

/// The words of reports for a host that ran something else meanwhile.
const WORDS: [&str; 4] = [" waited ", " stood still ", " share CPU", "the hypervisor ran "];

/// A text without its line breaks, so that words are found that stand in two lines.
pub fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns whether a reason of a verdict is the host's alone.
pub fn is_at_fault(reason: &str) -> bool {
    let reason = flat(reason);
    WORDS.iter().any(|words| reason.contains(words))
}

/// The reasons and notes below the verdict of a text, each with its label, without their remedies.
pub fn findings(report: &str) -> Vec<String> {
    const LABELS: [&str; 4] = ["why ", "note ", "limit ", "try "];
    let verdict =
        |line: &&str| !["VALID", "INVALID", "INCOMPLETE"].iter().any(|w| line.starts_with(w));
    let mut findings: Vec<String> = Vec::new();
    for line in report.lines().skip_while(verdict).skip(1) {
        let line = line.trim_start();
        match (LABELS.iter().find(|label| line.starts_with(**label)), findings.last_mut()) {
            (None, Some(last)) => *last += &format!(" {line}"),
            _ => findings.push(line.to_owned()),
        }
    }
    let findings = findings.iter().map(|finding| flat(finding));
    findings.filter(|finding| !finding.starts_with("try ")).collect()
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
