//! The version, and with `-v` beside `--version`, in either order, what was built, of what, and where
//! it runs.

use std::env::consts::{ARCH, OS};

/// The commit, for who builds from one (`BUILD_REVISION=$(git rev-parse HEAD) cargo build`).
pub(super) const REVISION: Option<&str> = option_env!("BUILD_REVISION");
/// The compiler (`BUILD_COMPILER=$(rustc --version)`).
const COMPILER: Option<&str> = option_env!("BUILD_COMPILER");

/// The whole text, if these words ask for it and nothing else.
pub(super) fn asked_for(program: &str, words: &[String]) -> Option<String> {
    let is = |of: &[&str]| words.iter().any(|word| of.contains(&word.as_str()));
    let are_all = words
        .iter()
        .all(|word| ["-V", "--version", "-v", "--verbose", "-vV", "-Vv"].contains(&word.as_str()));
    let both = is(&["-V", "--version"]) && is(&["-v", "--verbose"]);
    (are_all && (both || is(&["-vV", "-Vv"]))).then(|| text(program))
}

fn text(program: &str) -> String {
    let lines = [
        ("commit", REVISION.map(str::to_owned)),
        ("target", Some(target())),
        ("compiler", COMPILER.map(str::to_owned)),
        ("drivers", drivers()),
        ("kernel", kernel()),
    ];
    let lines = lines.into_iter().filter_map(|(name, value)| Some(format!("{name}: {}\n", value?)));
    format!("{program} {}\n{}", env!("CARGO_PKG_VERSION"), lines.collect::<String>())
}

fn target() -> String {
    let environment = if cfg!(target_env = "musl") { "musl" } else { "gnu" };
    format!("{ARCH}-unknown-{OS}-{environment}")
}

#[cfg(feature = "server")]
fn drivers() -> Option<String> {
    Some(crate::server::DriverKind::ALL.map(crate::server::DriverKind::name).join(", "))
}

#[cfg(not(feature = "server"))]
fn drivers() -> Option<String> {
    None
}

/// The release of the kernel that runs; none where it cannot be read.
fn kernel() -> Option<String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    Some(format!("Linux {}", release.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_words_in_either_order_and_no_other_ask_for_all() {
        let asked = |words: &str| {
            let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
            asked_for("it", &words)
        };
        for words in ["--version -v", "-v --version", "-V --verbose", "-vV", "-Vv"] {
            let text = asked(words).expect(words);
            assert!(text.starts_with(concat!("it ", env!("CARGO_PKG_VERSION"), "\n")), "{text}");
            assert!(text.contains("\ntarget: ") && text.contains("\nkernel: Linux "), "{text}");
            assert_eq!(text.contains("\ncommit: "), REVISION.is_some(), "{text}");
        }
        for words in ["--version", "-v", "", "serve -v -V", "-r 5 -v -V"] {
            assert_eq!(asked(words), None, "{words}");
        }
    }
}
