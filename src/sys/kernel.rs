//! The release of the running kernel.

use std::fmt;

/// A kernel's version as `uname -r` prints it, such as `6.1.0-18-amd64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Release {
    text: String,
    /// Major and minor number; zeroes where the text does not begin with them.
    version: (u32, u32),
}

impl Release {
    /// Of the kernel that runs. The system call returns it without `/proc` too.
    pub(crate) fn running() -> Self {
        Self::parse(&rustix::system::uname().release().to_string_lossy())
    }

    pub(crate) fn parse(text: &str) -> Self {
        let mut numbers = text.split(|char: char| !char.is_ascii_digit());
        let mut next = || numbers.next().and_then(|number| number.parse().ok());
        let version = next().zip(next()).unwrap_or((0, 0));
        Self { text: text.to_owned(), version }
    }

    /// Returns whether it is this version or a later one. Distributions carry features into older
    /// kernels, so this explains a failure; it never predicts one.
    pub(crate) fn is_at_least(&self, major: u32, minor: u32) -> bool {
        self.version >= (major, minor)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Linux {}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_ordered_by_number() {
        for (text, is_new_enough) in [
            ("6.1.0-18-amd64", true),
            ("6.0.0", true),
            ("10.2", true),
            ("6.0-rc3", true),
            ("5.15.90.1-microsoft-standard-WSL2", false),
            ("5.9.16", false),
            ("custom", false),
            ("", false),
        ] {
            assert_eq!(Release::parse(text).is_at_least(6, 0), is_new_enough, "{text:?}");
        }
        assert!(Release::running().is_at_least(2, 6));
    }
}
