//! The layer of environment variables.

use std::ffi::OsString;

use super::error::did_you_mean;
use super::schema::{self, ADDRESSES};
use super::{Given, Layer, Origin, SettingsError};

const PREFIX: &str = "RINGBACK_";

/// Variables that Kubernetes sets in every pod beside a Service called `ringback`; no option is
/// called so.
fn is_of_service(name: &str) -> bool {
    let rest = &name[PREFIX.len()..];
    rest == "PORT" || rest.starts_with("PORT_") || rest.starts_with("SERVICE_")
}

/// Reads the settings of an environment; with notes for the operator.
pub(super) fn read(
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<(Layer, Vec<String>), SettingsError> {
    let mut layer = Layer::new();
    let mut skipped = Vec::new();
    for (name, value) in environment {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        if is_of_service(name) {
            skipped.push(name.to_owned());
            continue;
        }
        let origin = Origin::Variable(name.to_owned());
        let invalid = |reason: String| SettingsError::invalid(&origin, reason);
        let setting = setting(name).map_err(invalid)?;
        let value = value.to_str().ok_or_else(|| invalid("it is not UTF-8".to_owned()))?;
        let values = split(setting, value);
        values.iter().try_for_each(|value| setting.check(value)).map_err(invalid)?;
        layer.insert(setting.name(), Given { values, origin });
    }
    skipped.sort();
    let notes = skipped.first().map(|first| {
        let count = skipped.len();
        format!("{count} variables of a Kubernetes Service are no settings: {first} and the like")
    });
    Ok((layer, notes.into_iter().collect()))
}

fn setting(name: &str) -> Result<schema::Setting, String> {
    let option = name[PREFIX.len()..].to_ascii_lowercase().replace('_', "-");
    schema::find(&option).filter(|setting| variable(setting.name()) == name).ok_or_else(|| {
        let nearest = schema::nearest(&option).map(variable);
        let hint = did_you_mean(nearest.as_deref());
        format!("there is no setting of this name: {hint}; unset it, or rename what is not ours")
    })
}

/// The variable of a setting.
fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.to_ascii_uppercase().replace('-', "_"))
}

/// A list is parted by commas or blanks.
fn split(setting: schema::Setting, value: &str) -> Vec<String> {
    let is_separator = |character: char| character == ',' || character.is_whitespace();
    let parts = || value.split(is_separator).filter(|part| !part.is_empty()).map(str::to_owned);
    match parts().next() {
        Some(_) if setting.name() == ADDRESSES => parts().collect(),
        // An empty value is for the parser to refuse.
        _ => vec![value.to_owned()],
    }
}
