//! Exit codes of both programs, with what they mean: programs end by them, help and guide list
//! them.

/// An exit code and its meaning.
type ExitCode = (u8, &'static str);

/// Exit codes of `ringback`: those of `sysexits.h`, and 1.
#[cfg(feature = "server")]
pub mod server {
    use super::ExitCode;

    /// Bytes were lost.
    pub const LOSSES: u8 = 1;
    /// A server is not ready.
    pub const NOT_READY: u8 = 1;
    /// `EX_USAGE`.
    pub const USAGE: u8 = 64;
    /// `EX_UNAVAILABLE`.
    pub const UNAVAILABLE: u8 = 69;
    /// `EX_SOFTWARE`.
    pub const INTERNAL: u8 = 70;
    /// `EX_CONFIG`.
    pub const CONFIG: u8 = 78;

    /// All of them.
    pub(super) const ALL: [ExitCode; 6] = [
        (0, "clean; with health: ready; with doctor: a server can run"),
        (LOSSES, "drained with losses; with health: not ready"),
        (USAGE, "usage: a mistake on the command line"),
        (UNAVAILABLE, "unavailable: port, io_uring, sandbox; with doctor: no server can run"),
        (INTERNAL, "internal: a worker failed, or output could not be written"),
        (CONFIG, "configuration: a mistake in the file or a variable"),
    ];

    /// The help of a command, with the exit codes below it.
    pub(in crate::cli) fn below(help: &str) -> String {
        super::below(help, &ALL)
    }

    /// The exit codes of `health`, as below a help.
    pub(in crate::cli) fn of_health() -> String {
        const CODES: [ExitCode; 3] = [
            (0, "ready"),
            (NOT_READY, "not ready, or nobody answers within 2 s"),
            (USAGE, "usage: a mistake on the command line"),
        ];
        super::table(&CODES)
    }
}

/// Exit codes of `ringback-load`.
#[cfg(feature = "load")]
pub mod load {
    use super::ExitCode;
    use crate::load::Outcome;

    /// There is no report.
    pub const NOTHING: u8 = 1;
    /// The command line is not possible.
    pub const USAGE: u8 = 2;
    /// A shell's word for a program that SIGINT ended: 128 and the signal's number.
    pub(in crate::cli) const INTERRUPTED: u8 = 130;
    /// As [`INTERRUPTED`], for SIGQUIT.
    pub(in crate::cli) const QUIT: u8 = 131;

    /// All of them.
    pub(super) const ALL: [ExitCode; 9] = [
        (Outcome::Passed.exit_code(), "VALID, and what was asserted holds; or drawn, or merged"),
        (NOTHING, "nothing could be measured, read or written"),
        (USAGE, "usage: a mistake on the command line"),
        (
            Outcome::Missed.exit_code(),
            "VALID; an assertion missed (find-max: no rate holds it) or --fail-if met",
        ),
        (Outcome::ServerAtFault.exit_code(), "INVALID: do not use these numbers"),
        (
            Outcome::Incomplete.exit_code(),
            "INCOMPLETE: interrupted; with a report where something was measured",
        ),
        (Outcome::Inconclusive.exit_code(), "inconclusive, with --fail-inconclusive"),
        (INTERRUPTED, "ended at once by a second signal"),
        (QUIT, "ended at once by SIGQUIT"),
    ];

    /// The help of a command, with the exit codes below it.
    pub(in crate::cli) fn below(help: &str) -> String {
        super::below(help, &ALL)
    }
}

/// A help with the exit codes below it.
fn below(help: &str, codes: &[ExitCode]) -> String {
    format!("{help}\n\n{}", table(codes))
}

fn table(codes: &[ExitCode]) -> String {
    let lines = codes.iter().map(|(code, meaning)| format!("\n  {code:<3}  {meaning}"));
    format!("Exit codes:{}", lines.collect::<String>())
}

#[cfg(all(test, feature = "server", feature = "load"))]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::load::Outcome;

    /// The table of README and guide.
    fn table() -> String {
        let meaning = |codes: &[ExitCode], code: u8| {
            let found = codes.iter().find(|(known, _)| *known == code);
            found.map_or("", |(_, meaning)| *meaning)
        };
        let codes = server::ALL.iter().chain(&load::ALL).map(|(code, _)| *code);
        let rows = codes.collect::<BTreeSet<_>>().into_iter().map(|code| {
            let [of_server, of_load] = [&server::ALL[..], &load::ALL].map(|all| meaning(all, code));
            format!("| {code} | {of_server} | {of_load} |\n")
        });
        let head = "| | `ringback` | `ringback-load` |\n| --- | --- | --- |\n".to_owned();
        head + &rows.collect::<String>()
    }

    #[test]
    fn readme_and_guide_have_the_table() {
        let texts = [include_str!("../../README.md"), include_str!("../guide/operating.md")];
        for text in texts {
            assert!(text.contains(&table()), "{}", table());
        }
    }

    #[test]
    fn every_outcome_has_a_row_of_its_verdict() {
        let outcomes = [
            Outcome::Passed,
            Outcome::Missed,
            Outcome::GeneratorLimited,
            Outcome::HostAtFault,
            Outcome::TooFewSamples,
            Outcome::ServerAtFault,
            Outcome::NotWhole,
            Outcome::Incomplete,
        ];
        for outcome in outcomes {
            let (_, meaning) =
                load::ALL.iter().find(|(code, _)| *code == outcome.exit_code()).unwrap();
            assert!(meaning.starts_with(outcome.verdict()), "{outcome:?}: {meaning}");
        }
    }

    #[test]
    fn codes_are_ascending_and_lines_fit_a_terminal() {
        for all in [&server::ALL[..], &load::ALL] {
            assert!(all.windows(2).all(|pair| pair[0].0 < pair[1].0));
            let text = below("", all);
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        }
    }
}
