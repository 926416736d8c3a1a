//! Programs that a test needs and a machine may lack.

/// Whether this program is installed. Where it is not, the test is to return: that is said, and
/// fails where everything must be tested (`CI=true`).
pub fn has_tool(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|directory| directory.join(name).is_file());
    if !is_there {
        let must_run = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!must_run, "{name} is not installed");
        eprintln!("skipped: {name} is not installed");
    }
    is_there
}

/// Whether this is root. Where it is not, the test is to return: that is said.
pub fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("skipped: only root can do this");
    }
    is_root
}
