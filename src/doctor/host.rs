//! The files in which the kernel describes the host.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::check::Check;

/// Reads below a root, which is `/` except in tests.
#[derive(Debug, Clone)]
pub(super) struct Host {
    root: PathBuf,
}

/// A file that could not be read, or not understood.
#[derive(Debug)]
pub(super) struct Unknown {
    path: PathBuf,
    reason: String,
}

impl Host {
    pub(super) fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// A file's text, trimmed. `path` is absolute.
    pub(super) fn read(&self, path: &str) -> Result<String, Unknown> {
        match fs::read_to_string(self.root.join(path.trim_start_matches('/'))) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(error) => Err(Unknown { path: path.into(), reason: reason(&error) }),
        }
    }

    /// A sysctl by its name with dots, such as `net.core.somaxconn`.
    pub(super) fn sysctl(&self, name: &str) -> Result<String, Unknown> {
        self.read(&path_of_sysctl(name))
    }

    /// A sysctl that is a number.
    pub(super) fn sysctl_number(&self, name: &str) -> Result<u64, Unknown> {
        let text = self.sysctl(name)?;
        text.parse().map_err(|_| Unknown::text(name, &text))
    }
}

impl Unknown {
    /// A sysctl that says something else than it should.
    pub(super) fn text(sysctl: &str, text: &str) -> Self {
        let reason = format!("{text:?} is not understood");
        Self { path: path_of_sysctl(sysctl).into(), reason }
    }

    /// A warning: a value that could not be read is not assumed to be good.
    pub(super) fn check(&self, name: &'static str) -> Check {
        let path = self.path.display();
        Check::warn(
            name,
            format!("unknown: {path}: {}", self.reason),
            format!("look from where it can be read: cat {path}"),
        )
    }
}

fn path_of_sysctl(name: &str) -> String {
    format!("/proc/sys/{}", name.replace('.', "/"))
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A host that has these files and no others. Paths are without the slash at the beginning.
    pub(in crate::doctor) fn host(files: &[(&str, &str)]) -> (TempDir, Host) {
        let root = tempfile::tempdir().expect("a directory can be made");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("files have a directory")).expect("made");
            fs::write(path, text).expect("written");
        }
        let host = Host::below(root.path());
        (root, host)
    }

    #[test]
    fn what_cannot_be_read_says_where_and_why() {
        let (_root, host) = host(&[("proc/sys/net/core/somaxconn", "no number\n")]);
        let unknown = host.sysctl_number("net.core.somaxconn").expect_err("it is text");
        let check = unknown.check("name");
        let expected = "unknown: /proc/sys/net/core/somaxconn: \"no number\" is not understood";
        assert_eq!(check.found, expected);
        let unknown = host.read("/proc/nothing").expect_err("it is not there");
        let check = unknown.check("name");
        assert_eq!(check.found, "unknown: /proc/nothing: there is no such file");
        let fix = "look from where it can be read: cat /proc/nothing";
        assert_eq!(check.fix.as_deref(), Some(fix));
    }
}
