//! The options of `serve` as the schema of file and variables.

use std::ffi::OsString;
use std::sync::OnceLock;

use clap::{Arg, ArgAction, Command, CommandFactory, Parser};

use super::Layer;
use crate::cli::mistakes::most_like;
use crate::cli::serve::{Cli, Command as Subcommand, Serve};

/// The option that names the file: for flags and variables, not for the file itself.
pub(super) const FILE: &str = "config";
/// The option that asks for something else than to serve: for flags alone.
const CHECK: &str = "check";
/// The name that the positional arguments have in file and variables.
pub(super) const ADDRESSES: &str = "addresses";

/// An option that can be set elsewhere than on the command line.
#[derive(Clone, Copy)]
pub(super) struct Setting(&'static Arg);

impl Setting {
    /// The name in a file: the option's long one.
    pub(super) fn name(self) -> &'static str {
        self.0.get_long().unwrap_or(ADDRESSES)
    }

    pub(super) fn id(self) -> &'static str {
        self.0.get_id().as_str()
    }

    /// The text of the help.
    pub(super) fn help(self) -> String {
        self.0.get_help().expect("every option has a help text").to_string()
    }

    /// The default as the command line has it; computed ones have none there.
    pub(super) fn default(self) -> Option<&'static str> {
        self.0.get_default_values().first()?.to_str()
    }

    pub(super) fn is_list(self) -> bool {
        self.0.is_positional()
    }

    /// The words that it takes, where it takes no others.
    pub(super) fn possible_values(self) -> Vec<String> {
        let values = self.0.get_possible_values();
        values.iter().map(|value| value.get_name().to_owned()).collect()
    }

    /// Checks a value with the option's own parser.
    pub(super) fn check(self, value: &str) -> Result<(), String> {
        let result = Cli::try_parse_from(arguments([(self.name(), value)]));
        result.map(drop).map_err(|error| one_line(&error))
    }
}

/// All settings, [`FILE`] among them.
pub(super) fn settings() -> impl Iterator<Item = Setting> {
    static SERVE: OnceLock<Command> = OnceLock::new();
    let serve = SERVE.get_or_init(|| {
        let mut cli = Cli::command();
        // Arguments know their number of values once the command is built.
        cli.build();
        cli.find_subcommand("serve").expect("there is one").clone()
    });
    let is_setting = |arg: &&Arg| {
        let is_action = matches!(arg.get_action(), ArgAction::Help | ArgAction::HelpLong)
            || matches!(arg.get_action(), ArgAction::HelpShort | ArgAction::Version);
        !is_action && arg.get_id() != CHECK
    };
    serve.get_arguments().filter(is_setting).map(Setting)
}

/// The setting with this name.
pub(super) fn find(name: &str) -> Option<Setting> {
    settings().find(|setting| setting.name() == name)
}

/// The name most like one that does not exist, if there is one like it.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    most_like(name, settings().map(Setting::name))
}

/// The options with these settings in the place of flags. Each value was checked before.
pub(super) fn options(layer: &Layer, is_check: bool) -> Serve {
    let values = layer
        .iter()
        .flat_map(|(name, setting)| setting.values.iter().map(|value| (*name, value.as_str())));
    let parsed = Cli::try_parse_from(arguments(values));
    match parsed.expect("values that were checked are parsed").command {
        Subcommand::Serve(mut options) => {
            options.check = is_check;
            *options
        }
        _ => unreachable!("the arguments are those of serve"),
    }
}

/// Arguments of the program that set this.
fn arguments<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<OsString> {
    let (addresses, options): (Vec<_>, Vec<_>) =
        values.into_iter().partition(|(name, _)| *name == ADDRESSES);
    let options = options.into_iter().map(|(name, value)| format!("--{name}={value}"));
    // No address is an option, whatever it begins with.
    let addresses = ["--"].into_iter().chain(addresses.into_iter().map(|(_, value)| value));
    let program = ["ringback", "serve"].into_iter().map(OsString::from);
    program.chain(options.map(OsString::from)).chain(addresses.map(OsString::from)).collect()
}

/// The words of an error of clap, without how to use the command line.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines =
        text.lines().take_while(|line| !line.starts_with("For more") && !line.starts_with("Usage"));
    let words: Vec<&str> = lines.map(str::trim).filter(|line| !line.is_empty()).collect();
    let text = words.join("; ");
    text.strip_prefix("error: ").unwrap_or(&text).to_owned()
}
