//! Gates as they are written on the command line: `b/a>1.05`.

use crate::load::Comparison;
use crate::load::study::compare::Gate;

/// Why a text is not a gate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum GateError {
    #[error("it compares nothing: use <, <=, > or >=, as in 'b/a>1.05' (in quotes)")]
    NoComparison,
    #[error("{0:?} is no ratio of the servers: use b/a or a/b")]
    UnknownRatio(String),
    #[error("its limit {0:?} is not a number above 0, as in 1.05")]
    Limit(String),
}

/// Reads a ratio, a comparison and a limit; blanks between them do not matter.
pub(super) fn parse_gate(text: &str) -> Result<Gate, GateError> {
    let (ratio, comparison, limit) = Comparison::split(text).ok_or(GateError::NoComparison)?;
    let is_inverse = match ratio {
        "b/a" => false,
        "a/b" => true,
        other => return Err(GateError::UnknownRatio(other.to_owned())),
    };
    match limit.parse() {
        Ok(number) if number > 0.0 && f64::is_finite(number) => {
            Ok(Gate { is_inverse, ..Gate::new(text.trim(), comparison, number) })
        }
        _ => Err(GateError::Limit(limit.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read() {
        for (text, is_inverse, comparison, limit) in [
            ("b/a>1.05", false, Comparison::Above, 1.05),
            (" a/b <= 0.9 ", true, Comparison::AtMost, 0.9),
            ("b/a>=2", false, Comparison::AtLeast, 2.0),
        ] {
            let name = text.trim().to_owned();
            assert_eq!(parse_gate(text), Ok(Gate { name, is_inverse, comparison, limit }));
        }
    }

    #[test]
    fn errors_name_cause_and_fix() {
        for (text, words) in [
            ("b/a", "it compares nothing"),
            ("b>1", "\"b\" is no ratio of the servers: use b/a or a/b"),
            ("b/a>5%", "\"5%\" is not a number above 0"),
            ("b/a>0", "\"0\" is not a number above 0"),
            ("b/a>inf", "\"inf\" is not a number above 0"),
            ("b/a<", "\"\" is not a number above 0"),
        ] {
            let error = parse_gate(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
