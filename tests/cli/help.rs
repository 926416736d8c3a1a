//! Help: a summary, and everything in groups.

use std::process::Command;

const PROGRAMS: [&str; 2] = [env!("CARGO_BIN_EXE_ringback"), env!("CARGO_BIN_EXE_ringback-load")];

fn help(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("it starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("it is text")
}

#[test]
fn a_short_help_is_a_summary_that_names_the_long_one() {
    /// As a large terminal shows.
    const LINES: usize = 60;
    let [serve, load] = PROGRAMS;
    for (program, command, rare) in [
        (serve, &["serve"][..], "--drain-quiet"),
        (load, &[], "--ramp-up"),
        (load, &["sweep"], "--seed"),
        (load, &["find-max"], "--source"),
        (load, &["compare"], "--depth"),
    ] {
        let short = help(program, &[command, &["-h"]].concat());
        assert!(short.lines().count() <= LINES, "{command:?}: {short}");
        assert!(short.contains(" --help\n") && !short.contains(rare), "{command:?}: {short}");
        let long = help(program, &[command, &["--help"]].concat());
        assert!(
            long.contains(rare) && long.contains("\nExit codes:\n  0    "),
            "{command:?}: {long}"
        );
    }
}

#[test]
fn options_of_the_server_stand_in_groups() {
    let text = help(PROGRAMS[0], &["serve", "--help"]);
    let (_, options) = text.split_once("\nOptions:\n").expect("it has options");
    let groups = ["Echo:", "Workers:", "Limits:", "Shutdown:", "Operating:"];
    let found: Vec<&str> = options.lines().filter(|line| groups.contains(line)).collect();
    assert_eq!(found, groups);
    let (rest, _) = options.split_once("\nEcho:\n").expect("a group");
    assert_eq!(
        rest.matches("\n      --").count() + rest.matches("  -h, --help").count(),
        1,
        "{rest}"
    );
}

#[test]
fn a_command_that_chooses_the_rates_has_no_word_of_one_rate() {
    for command in ["sweep", "find-max"] {
        for summary in ["-h", "--help"] {
            let text = help(PROGRAMS[1], &[command, summary]);
            assert!(text.contains("\nLoad:\n") && !text.contains("--rate "), "{text}");
            assert!(!text.contains("--rate,") && !text.contains("--rate:"), "{text}");
        }
    }
    let text = help(PROGRAMS[1], &["--help"]);
    assert!(text.contains("  -r, --rate <N>\n"), "{text}");
    assert!(text.contains("Latencies are response times with --rate, else"), "{text}");
}

#[test]
fn the_program_shows_both_programs_and_its_exit_codes() {
    let text = help(PROGRAMS[0], &["--help"]);
    for words in ["\n  ringback serve 127", "(ringback-load --help)", "\nExit codes:\n  0    "] {
        assert!(text.contains(words), "{words:?} in {text}");
    }
    assert!(help(PROGRAMS[0], &["-h"]).contains("ringback --help\n"));
    let health = help(PROGRAMS[0], &["health", "--help"]);
    assert!(health.ends_with(
        "Exit codes:\n  0    ready\n  1    not ready, or nobody answers within 2 s\n  64   usage: a \
         mistake on the command line\n"
    ), "{health}");
}

#[test]
fn the_version_says_more_with_v_in_either_order() {
    for program in PROGRAMS {
        let short = help(program, &["--version"]);
        assert_eq!(short.lines().count(), 1, "{short}");
        let long = help(program, &["-v", "--version"]);
        assert_eq!(long, help(program, &["--version", "-v"]));
        assert_eq!(long, help(program, &["-Vv"]));
        assert!(long.starts_with(&short), "{long}");
        for fact in
            ["-unknown-linux-", "\ndrivers: uring, tokio-uring, epoll\n", "\nkernel: Linux "]
        {
            assert!(long.contains(fact), "{long}");
        }
    }
}
