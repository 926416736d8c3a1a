//! Settings of `ringback serve`, from wherever they come: flags over variables over a file over
//! defaults.
//!
//! The options of the command line are the only schema. A key of the file is the long name of an
//! option, a variable is that in capitals after `RINGBACK_`, and their values are read by the
//! parsers of the options.

mod error;
mod example;
mod file;
mod print;
mod schema;
mod variables;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

pub use self::error::SettingsError;
pub use self::example::example;
use super::serve::{Cli, Command, Protocol, Serve};

/// A value as it was written, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Given {
    /// One, but for addresses.
    values: Vec<String>,
    origin: Origin,
}

/// The place where a setting was written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    File { path: PathBuf, line: usize },
    Variable(String),
    CommandLine,
}

/// Settings by their option's long name; what is absent has its default.
type Layer = BTreeMap<&'static str, Given>;

/// The settings of a server, and their origins.
#[derive(Debug)]
pub struct Settings {
    /// The options, with what file and variables say in the place of flags that were not given.
    pub options: Serve,
    /// Notes for the operator.
    pub notes: Vec<String>,
    layer: Layer,
}

impl Settings {
    /// Settings from these matches of [`Cli`], the environment, and the file that one of the two
    /// names.
    ///
    /// # Errors
    ///
    /// When file or variables hold something that is no setting, or not its value.
    pub fn resolve(
        matches: &ArgMatches,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, SettingsError> {
        let flags = flags(matches);
        let (mut variables, mut notes) = variables::read(environment)?;
        let file = flags.get(schema::FILE).or_else(|| variables.get(schema::FILE));
        let mut layer = match file {
            Some(named) => file::read(named.values[0].as_ref(), &named.origin)?,
            None => Layer::new(),
        };
        layer.append(&mut variables);
        layer.extend(flags);
        let options = schema::options(&layer, is_check(matches));
        notes.extend(without_effect(&layer, options.protocol));
        Ok(Self { options, notes, layer })
    }

    /// The error of a configuration that cannot work because of this option: of whoever set it.
    pub fn blame(&self, option: &str, error: &str) -> SettingsError {
        match self.layer.get(option).map(|setting| &setting.origin) {
            None | Some(Origin::CommandLine) => SettingsError::Usage(error.to_owned()),
            Some(origin) => SettingsError::invalid(origin, error),
        }
    }

    /// The settings as the file that resolves to them, each with its origin.
    pub fn to_toml(&self, resolved: &[(&str, String)]) -> String {
        print::to_toml(&self.layer, resolved)
    }
}

/// Parses the arguments of the program; settings of `serve` are still to be
/// [resolved](Settings::resolve).
///
/// # Errors
///
/// Help, the version, or what is wrong with the command line.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<(Command, ArgMatches), clap::Error> {
    let matches = Cli::command().try_get_matches_from(arguments)?;
    let Cli { command } = Cli::from_arg_matches(&matches)?;
    Ok((command, matches))
}

/// Settings given on the command line.
fn flags(matches: &ArgMatches) -> Layer {
    let matches = matches.subcommand_matches("serve").expect("the settings are those of serve");
    let given = schema::settings()
        .filter(|setting| matches.value_source(setting.id()) == Some(ValueSource::CommandLine));
    given
        .map(|setting| {
            let raw = matches.get_raw(setting.id()).into_iter().flatten();
            // Whatever is not UTF-8 was refused by its parser.
            let values = raw.map(|value| value.to_string_lossy().into_owned()).collect();
            (setting.name(), Given { values, origin: Origin::CommandLine })
        })
        .collect()
}

/// A note for each setting that was given and means nothing to this protocol.
fn without_effect(layer: &Layer, protocol: Protocol) -> Vec<String> {
    /// Settings of frames, which the raw protocol does not have.
    const OF_FRAMES: [&str; 2] = ["max-frame", "frame-timeout"];
    let given = OF_FRAMES.into_iter().filter(|name| layer.contains_key(name));
    match protocol {
        Protocol::Framed => Vec::new(),
        Protocol::Raw => given
            .map(|name| format!("{name} has no effect: --protocol raw has no frames"))
            .collect(),
    }
}

fn is_check(matches: &ArgMatches) -> bool {
    matches.subcommand_matches("serve").is_some_and(|serve| serve.get_flag("check"))
}

#[cfg(test)]
mod tests;
