//! The characters and colours that whoever reads can be shown.

use std::env;
use std::ffi::OsString;
use std::io::{IsTerminal, stderr, stdout};
use std::os::fd::{AsFd, BorrowedFd};

use clap::ValueEnum;
use rustix::fs::fstat;
use rustix::termios::tcgetwinsize;

use crate::load::report::page::{ascii, wrapped};

/// When words that matter are coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal that can, unless NO_COLOR is set
    #[default]
    Auto,
    Always,
    Never,
}

impl Color {
    /// Returns whether what goes to stdout is coloured.
    pub(super) fn is_wanted(self) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
                let can = env::var_os("TERM").is_none_or(|term| term != "dumb");
                stdout().is_terminal() && can && !is_set("NO_COLOR")
            }
        }
    }
}

/// Returns whether the locale has no characters but those of ASCII: it is the first of these
/// variables that is set (`locale(7)`), and none is the locale C.
pub(super) fn is_ascii() -> bool {
    let names = ["LC_ALL", "LC_CTYPE", "LANG"];
    let locale = names.into_iter().filter_map(env::var_os).find(|value| !value.is_empty());
    !is_utf8(&locale.unwrap_or_default())
}

fn is_utf8(locale: &OsString) -> bool {
    let locale = locale.to_string_lossy().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// Returns whether whoever reads stdout reads stderr too, on the same terminal.
pub(super) fn is_one_terminal() -> bool {
    let device = |stream: BorrowedFd<'_>| fstat(stream).ok().map(|found| found.st_rdev);
    let (out, err) = (stdout(), stderr());
    out.is_terminal() && err.is_terminal() && device(out.as_fd()) == device(err.as_fd())
}

/// A line for standard error in the characters of the locale, broken where a terminal is narrower.
pub(super) fn line(text: &str) -> String {
    let text = if is_ascii() { ascii(text) } else { text.to_owned() };
    match columns() {
        0 => text,
        columns => wrapped("", &text, 0, columns).join("\n"),
    }
}

/// Columns of the terminal that standard error is, now; 0 if it has none.
pub(super) fn columns() -> usize {
    tcgetwinsize(stderr()).map_or(0, |size| size.ws_col.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locales_name_their_characters() {
        for (locale, expected) in
            [("C.UTF-8", true), ("de_DE.utf8@euro", true), ("C", false), ("", false)]
        {
            assert_eq!(is_utf8(&locale.into()), expected, "{locale}");
        }
    }
}
