//! Words of command lines that other tools take: what is there instead.
//!
//! The parser's tip for a word that it does not know is to pass it as a value, which is never what
//! was meant.

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::address::parse_socket_address;
use crate::units::parse_count;

/// Options of other tools, and what to write here.
type Instead = (&'static [&'static str], &'static str);

const OF_SERVER: &[Instead] = &[
    (
        &["-p", "--port", "-H", "--host", "-b", "--bind", "-l", "--listen", "-a", "--address"],
        "the address is an argument, as in ringback serve 127.0.0.1:8080",
    ),
    (
        &["-n", "-t", "--threads", "-w", "-j", "--cores"],
        "write --workers N, or --cpus LIST to choose their CPUs",
    ),
    (&["-c", "--conf"], "write --config FILE"),
    (&["-v", "--verbose", "--debug"], "write --log-level debug"),
    (&["-q", "--quiet"], "write --log-level warn"),
    (&["-d", "--daemon"], "it stays in the foreground: start it by systemd, or in the background"),
    (&["--tls", "--cert", "--key"], "there is no TLS: put a proxy before it"),
];

const OF_LOAD: &[Instead] = &[
    (
        &["-p", "--port", "-H", "--host", "-u", "--url", "-a", "--address", "--target"],
        "the target is an argument, as in ringback-load 127.0.0.1:65432",
    ),
    (
        &["-n", "--requests", "--num", "--count", "--number"],
        "the length of a run is a time: write -d 10s",
    ),
    (&["--concurrency", "--clients", "--vus"], "write --connections N"),
    (&["-R", "--qps", "--rps"], "write --rate N"),
    (&["-z", "--time", "--runtime"], "write --duration TIME"),
    (&["--bytes", "--payload", "-l", "--length"], "write --size BYTES"),
    (&["--latency", "-L"], "latencies are always shown; -v shows all of them"),
    (
        &["-j", "-J", "--json", "--export-json", "--export-csv", "--export-markdown"],
        "write --format json, or -o run.json",
    ),
    (&["--pipeline", "-P"], "write --depth N"),
    (
        &["--part", "--start-at"],
        "many generators make one load, without a command: write ringback-load TARGET --part I/N",
    ),
    (&["--tcp", "--echo"], "it is always a TCP echo server that is measured"),
    (
        &["--tls", "--insecure", "--http2", "--udp"],
        "it speaks plain TCP: there is no TLS, HTTP or UDP",
    ),
    (&["-b", "--bitrate", "--bandwidth"], "a rate is in messages: write --rate N"),
    (&["--threshold", "--thresholds"], "write --assert 'p99<200us'"),
    (&["--stage", "--stages"], "write ringback-load sweep --rates 10k..100k:10k"),
    (&["--latency-correction"], "with --rate latencies count from when a message was due"),
    (&["-w"], "write --warmup TIME"),
    (&["--max-frame"], "frames are as large as --size"),
    (&["--runs", "--min-runs", "-m"], "write compare --blocks N, of four runs each"),
    (&["--setup", "--prepare", "--cleanup"], "compare starts and stops the servers itself"),
];

/// Options whose one hyphen makes them a letter and its value.
const LONG: [&str; 8] =
    ["rate", "duration", "connections", "timeout", "threads", "output", "format", "warmup"];

/// Cause and remedy of an error that the parser explains badly.
pub(super) fn explain(error: &clap::Error, cli: &Command, words: &[String]) -> Option<String> {
    let program = cli.get_name();
    let of_words = [
        ErrorKind::UnknownArgument,
        ErrorKind::ArgumentConflict,
        ErrorKind::InvalidSubcommand,
        ErrorKind::ValueValidation,
    ];
    if !of_words.contains(&error.kind()) {
        return None;
    }
    if let Some((host, target)) = divided_target(words)
        && (error.kind() != ErrorKind::ValueValidation
            || text(error, ContextKind::InvalidValue) == Some(host))
    {
        return Some(format!("host and port are one word: write {target}"));
    }
    if let Some(remedy) = host_of_connections(error).or_else(|| below_zero(error)) {
        return Some(remedy);
    }
    if program == "ringback-load"
        && let Some(name) = long_with_one_hyphen(words)
    {
        return Some(format!("-{name} is no option: write --{name}"));
    }
    match (error.kind(), program) {
        (ErrorKind::ArgumentConflict, _) => return conflicting_command(error, cli, words),
        (ErrorKind::InvalidSubcommand, "ringback") => return no_command_of_server(error, cli),
        (ErrorKind::InvalidSubcommand, _) => {
            return misspelt_command(text(error, ContextKind::InvalidSubcommand)?, cli);
        }
        (ErrorKind::UnknownArgument, _) => {}
        _ => return None,
    }
    let unknown = text(error, ContextKind::InvalidArg)?;
    if let Some(negative) = negative(unknown, words) {
        return Some(negative);
    }
    if !unknown.starts_with('-') && words.first().is_some_and(|word| word == "compare") {
        return Some(format!("{unknown:?} is one word too many: write --a CMD --b CMD"));
    }
    if !unknown.starts_with('-') {
        return Some(format!(
            "{unknown:?} is one word too many: see {} --help",
            command(program, words)
        ));
    }
    let foreign = if program == "ringback" { OF_SERVER } else { OF_LOAD };
    let instead = foreign.iter().find(|(options, _)| options.contains(&unknown));
    let remedy = match (instead, text(error, ContextKind::SuggestedArg)) {
        (Some((_, remedy)), _) => (*remedy).to_owned(),
        (None, Some(similar)) => format!("did you mean {similar}?"),
        (None, None) => format!("see {} --help", command(program, words)),
    };
    Some(format!("there is no option {unknown}: {remedy}"))
}

/// The name most like a word that is none of them, if there is one like it.
pub(super) fn most_like<'a>(
    word: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    /// As the parser does for options.
    const LIKE: f64 = 0.7;
    best_above(LIKE, word, names)
}

fn best_above<'a>(
    least: f64,
    word: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let likeness = names.into_iter().map(|name| (strsim::jaro(word, name), name));
    let best = likeness.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(likeness, _)| *likeness > least).map(|(_, name)| name)
}

/// The message about a word that is no command but like one.
pub(super) fn misspelt_command(word: &str, cli: &Command) -> Option<String> {
    /// It may be the name of a host: `server` is not `merge`, which 0.7 would have it.
    const LIKE: f64 = 0.8;
    let is_address = word.contains(['.', ':', '/']);
    let names = || cli.get_subcommands().map(Command::get_name);
    if is_address || names().any(|name| name == word) {
        return None;
    }
    let meant = best_above(LIKE, word, names())?;
    Some(format!("there is no command {word}: did you mean {meant}?"))
}

/// The message about a command behind something else.
pub(super) fn late_command(word: &str, cli: &Command) -> Option<String> {
    let is_command = cli.get_subcommands().any(|command| command.get_name() == word);
    is_command.then(|| {
        let program = cli.get_name();
        format!("{word} must come first: write {program} {word}, then its options")
    })
}

/// Returns whether it may be meant for a rate.
pub(super) fn is_rate(word: &str) -> bool {
    parse_count(word).is_ok_and(|rate| rate > 0)
}

/// The message about a number behind `-q`, which is a rate in oha and hey.
pub(super) fn rate_behind_quiet(number: &str) -> String {
    format!("-q is --quiet and takes no number: write --rate {number}")
}

/// The message about a word that the parser takes for a command behind something else: one that
/// stands elsewhere, or a target behind what is none.
fn conflicting_command(error: &clap::Error, cli: &Command, words: &[String]) -> Option<String> {
    let word = text(error, ContextKind::InvalidSubcommand)?;
    let behind_quiet = words.windows(2).find(|pair| pair[0] == "-q").map(|pair| &pair[1]);
    if let Some(rate) = behind_quiet.filter(|word| is_rate(word)) {
        return Some(rate_behind_quiet(rate));
    }
    late_command(word, cli).or_else(|| misspelt_command(words.first()?, cli))
}

/// The message about a word that stands where a command of `ringback` does.
fn no_command_of_server(error: &clap::Error, cli: &Command) -> Option<String> {
    let word = text(error, ContextKind::InvalidSubcommand)?;
    let number = word.trim_start_matches(['*', ':']);
    let remedy = if number.parse::<u16>().is_ok() {
        format!("write ringback serve 127.0.0.1:{number}")
    } else if word.contains(':') || is_host(word) {
        match parse_socket_address(&word.replace("localhost:", "127.0.0.1:")) {
            Ok(_) => format!("write ringback serve {word}"),
            Err(_) => "write ringback serve and an address, as in 127.0.0.1:65432".to_owned(),
        }
    } else if let Some(misspelt) = misspelt_command(word, cli) {
        return Some(misspelt);
    } else {
        "see ringback --help".to_owned()
    };
    Some(format!("there is no command {word}: {remedy}"))
}

/// The message about a value below zero behind `=`.
fn below_zero(error: &clap::Error) -> Option<String> {
    let option = text(error, ContextKind::InvalidArg)?.split(' ').next()?;
    let value = text(error, ContextKind::InvalidValue)?;
    let is_number = value.strip_prefix('-')?.starts_with(|c: char| c.is_ascii_digit());
    (option.starts_with('-') && is_number).then(|| not_below_zero(option, value))
}

fn not_below_zero(option: &str, value: &str) -> String {
    format!("{option} {value}: nothing here is less than 0")
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text),
        _ => None,
    }
}

/// The program and its subcommand, whose help lists the options.
fn command(program: &str, words: &[String]) -> String {
    match words.first() {
        Some(word) if word.starts_with(|c: char| c.is_ascii_lowercase()) => {
            format!("{program} {word}")
        }
        _ => program.to_owned(),
    }
}

/// Returns whether a word can only be a host.
fn is_host(word: &str) -> bool {
    let is_name = word.contains('.') || word == "localhost" || word.contains("::");
    let is_number = word.trim_end_matches(['k', 'M', 'G']).parse::<f64>().is_ok();
    is_name && !is_number && !word.starts_with('-') && !word.contains(['/', '='])
}

/// A host that its port stands behind, and both as one word.
fn divided_target(words: &[String]) -> Option<(&str, String)> {
    let pair = words.windows(2).find(|pair| is_host(&pair[0]) && pair[1].parse::<u16>().is_ok())?;
    let (host, port) = (pair[0].as_str(), &pair[1]);
    let is_v6 = host.contains(':');
    Some((host, if is_v6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") }))
}

/// The message about a host behind `-c`, which is that of a client elsewhere.
fn host_of_connections(error: &clap::Error) -> Option<String> {
    let option = text(error, ContextKind::InvalidArg)?;
    let value = text(error, ContextKind::InvalidValue)?;
    let has_host = is_host(value) || value.rsplit_once(':').is_some_and(|(host, _)| is_host(host));
    (option.starts_with("--connections") && has_host).then(|| {
        format!(
            "-c is the number of connections: the target is an argument, as in ringback-load \
             {value} -c 64"
        )
    })
}

/// The name of an option that other tools write with one hyphen, as in `-rate=100`.
fn long_with_one_hyphen(words: &[String]) -> Option<&str> {
    let names = words.iter().filter_map(|word| word.strip_prefix('-')?.split('=').next());
    names.into_iter().find(|name| LONG.contains(name))
}

/// The message about a value below zero, which the parser takes for options of one letter.
fn negative(unknown: &str, words: &[String]) -> Option<String> {
    let digit = unknown.strip_prefix('-')?.chars().next()?;
    let pair = words.windows(2).find(|pair| pair[1].starts_with(unknown))?;
    (digit.is_ascii_digit() && pair[0].starts_with('-')).then(|| not_below_zero(&pair[0], &pair[1]))
}
