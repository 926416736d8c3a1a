//! Settings as the file that resolves to them.

use std::fmt::Write;

use super::schema::{self, FILE};
use super::{Layer, Origin};

/// Each setting with its value and origin. Of those that nobody gave `resolved` has what they came
/// to, such as the CPUs that there are.
pub(super) fn to_toml(layer: &Layer, resolved: &[(&str, String)]) -> String {
    let mut lines = String::new();
    for setting in schema::settings().filter(|setting| setting.name() != FILE) {
        let name = setting.name();
        let computed = resolved.iter().find(|(resolved, _)| *resolved == name);
        let (values, origin) = match (layer.get(name), computed) {
            (Some(given), _) => (given.values.clone(), origin(&given.origin)),
            (None, Some((_, value))) => (vec![value.clone()], "default, of this host".to_owned()),
            (None, None) => {
                let default = setting.default().unwrap_or("off");
                (vec![default.to_owned()], "default".to_owned())
            }
        };
        let value = if setting.is_list() {
            let values: Vec<_> = values.iter().map(|value| value_of(value)).collect();
            format!("[{}]", values.join(", "))
        } else {
            value_of(&values[0])
        };
        writeln!(lines, "{name} = {value} # {origin}").expect("a string takes all");
    }
    lines
}

/// A value of TOML: a number or a switch as it is, all else in quotes.
pub(super) fn value_of(text: &str) -> String {
    let is_number = text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
    if is_number || matches!(text, "true" | "false") {
        return text.to_owned();
    }
    // A string of JSON is one of TOML.
    serde_json::Value::from(text).to_string()
}

fn origin(origin: &Origin) -> String {
    // A path may hold what ends a comment.
    origin.to_string().chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
