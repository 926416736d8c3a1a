//! Times of the paths that every message takes: `cargo bench --bench hot_paths -- timers/`.
//!
//! `--count [NAME...]` does each path a few times instead, for `scripts/instructions.sh`, which has
//! the instructions counted, and prints how many operations that were.

use std::env;
use std::process::ExitCode;

use criterion::{Criterion, Throughput};
use ringback::testing::hot_paths::{self, Entry, HotPath};

fn main() -> ExitCode {
    // Cargo says that this is a benchmark.
    let arguments: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    match arguments.split_first() {
        Some((option, names)) if option == "--count" => count(names),
        _ => time(),
    }
}

/// Enough for what happens now and then, such as a vector that grows, to weigh little.
const REPETITIONS: u64 = 100;

#[expect(clippy::print_stdout, reason = "results")]
fn count(names: &[String]) -> ExitCode {
    let all = hot_paths::all();
    if let Some(name) = names.iter().find(|name| all.iter().all(|entry| entry.0 != name.as_str())) {
        let known: Vec<&str> = all.iter().map(|entry| entry.0).collect();
        eprintln!("{name:?} is not the name of a hot path; they are {}", known.join(", "));
        return ExitCode::from(2);
    }
    let is_wanted = |(name, _): &&Entry| names.is_empty() || names.iter().any(|word| word == name);
    for (name, make) in all.iter().filter(is_wanted) {
        let mut path = make();
        path.repeat();
        counted(&mut path);
        println!("{name} {}", REPETITIONS * path.operations);
    }
    ExitCode::SUCCESS
}

/// Instructions are counted in here.
#[inline(never)]
fn counted(path: &mut HotPath) {
    (0..REPETITIONS).for_each(|_| path.repeat());
}

fn time() -> ExitCode {
    let mut criterion = Criterion::default().configure_from_args();
    for (name, make) in hot_paths::all() {
        let (group, function) = name.split_once('/').expect("a name has a group");
        let mut path = make();
        let mut group = criterion.benchmark_group(group);
        group.throughput(Throughput::ElementsAndBytes {
            elements: path.operations,
            bytes: path.operations * path.bytes,
        });
        group.bench_function(function, |bencher| bencher.iter(|| path.repeat()));
        group.finish();
    }
    criterion.final_summary();
    ExitCode::SUCCESS
}
