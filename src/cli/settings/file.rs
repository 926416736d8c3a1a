//! The layer of a TOML file.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::did_you_mean;
use super::schema::{self, ADDRESSES, FILE};
use super::{Given, Layer, Origin, SettingsError};

/// Longest file that is read, in bytes; no list of addresses comes near it.
const MAX_LENGTH: u64 = 1 << 20;

/// Reads the settings of a file, which the flag or variable `named_by` named.
pub(super) fn read(path: &Path, named_by: &Origin) -> Result<Layer, SettingsError> {
    let text = read_text(path).map_err(|source| SettingsError::Unreadable {
        path: path.to_owned(),
        by: match named_by {
            Origin::Variable(name) => name.clone(),
            _ => format!("--{FILE}"),
        },
        source,
    })?;
    parse(path, &text)
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    // What a device or a pipe has is known when it is read.
    let length = fs::File::open(path)?.take(MAX_LENGTH + 1).read_to_string(&mut text)?;
    if length as u64 > MAX_LENGTH {
        return Err(io::Error::other("it is longer than a configuration is: is it another file?"));
    }
    Ok(text)
}

fn parse(path: &Path, text: &str) -> Result<Layer, SettingsError> {
    let place = |offset: usize| {
        let line = text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        Origin::File { path: path.to_owned(), line }
    };
    let table = DeTable::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        SettingsError::invalid(&place(start), error.message())
    })?;
    let mut layer = Layer::new();
    for (key, value) in table.get_ref() {
        let origin = place(key.span().start);
        let name = key.get_ref().as_ref();
        let setting = setting(name).map_err(|reason| SettingsError::invalid(&origin, reason))?;
        let values = texts(setting, value).map_err(|(offset, reason)| {
            SettingsError::invalid(&place(offset), format!("{name}: {reason}"))
        })?;
        layer.insert(setting.name(), Given { values, origin });
    }
    Ok(layer)
}

/// The setting that a key names.
fn setting(name: &str) -> Result<schema::Setting, String> {
    if name == FILE {
        return Err(format!("{FILE}: a file cannot name another: leave it out"));
    }
    schema::find(name).ok_or_else(|| {
        format!("there is no setting {name:?}: {}", did_you_mean(schema::nearest(name)))
    })
}

/// The value or values as they would be written on the command line; the error with its place.
fn texts(
    setting: schema::Setting,
    value: &Spanned<DeValue<'_>>,
) -> Result<Vec<String>, (usize, String)> {
    let values = match value.get_ref() {
        DeValue::Array(values) if setting.is_list() => values.iter().collect(),
        DeValue::Array(_) => {
            let reason = format!("only {ADDRESSES} is a list: write the value in quotes");
            return Err((value.span().start, reason));
        }
        _ => vec![value],
    };
    if values.is_empty() {
        return Err((value.span().start, "the list is empty: name an address".to_owned()));
    }
    let text = |value: &Spanned<DeValue<'_>>| {
        let at = |reason| (value.span().start, reason);
        let text = scalar(value.get_ref()).map_err(at)?;
        setting.check(&text).map_err(at)?;
        Ok(text)
    };
    values.into_iter().map(text).collect()
}

fn scalar(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map(|number| number.to_string())
            .map_err(|error| format!("{number} is no integer of TOML: {error}")),
        DeValue::Boolean(is_true) => Ok(is_true.to_string()),
        other => {
            let kind = other.type_str();
            Err(format!("a value of type {kind} is none of a setting: write it in quotes"))
        }
    }
}
