//! Measurements that the host spoils.

use std::process::Output;

use serde_json::Value;

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

/// The reasons why a report, or a part of it, is not valid; what is only to be known is none.
pub fn reasons(report: &str) -> Vec<String> {
    if let Ok(json) = serde_json::from_str(report) {
        return reasons_in(&json);
    }
    let is_reason = |finding: &String| {
        finding.starts_with("why ")
            || finding.starts_with("limit ")
            || finding.starts_with("note block ")
            || finding.contains(" is not valid: ")
    };
    findings(report).into_iter().filter(is_reason).collect()
}

fn reasons_in(json: &Value) -> Vec<String> {
    let of_key = |(key, value): (&String, &Value)| match value.as_array() {
        Some(reasons) if key == "reasons" => {
            reasons.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => reasons_in(value),
    };
    match json {
        Value::Object(keys) => keys.iter().flat_map(of_key).collect(),
        Value::Array(values) => values.iter().flat_map(reasons_in).collect(),
        _ => Vec::new(),
    }
}

/// Returns whether the host is a reason why a report, or a part of it, is not valid.
pub fn spoils(report: &str) -> bool {
    reasons(report).iter().any(|reason| is_at_fault(reason))
}

/// Returns whether a measurement is not valid, and its host is among the reasons: no test of the
/// programs can change that, so the test says that it ends here.
pub fn spoiled(output: &Output) -> bool {
    let is_spoiled =
        output.status.code() == Some(4) && spoils(&String::from_utf8_lossy(&output.stdout));
    if is_spoiled {
        eprintln!("skipped: other load on this host made the measurement invalid");
    }
    is_spoiled
}

#[test]
fn what_is_only_to_be_known_of_the_host_spoils_nothing() {
    let text = |label: &str| format!("VALID  details: -v\n  {label}     a and b share CPU\n  0\n");
    assert!(spoils(&text("why ")) && !spoils(&text("note")));
    let json = |key: &str| format!(r#"{{"probes":[{{"{key}":["it waited 9 %"]}}],"reasons":[]}}"#);
    assert!(spoils(&json("reasons")) && !spoils(&json("warnings")));
}
