//! Replays the committed fuzz corpus: what the fuzzers start from, and what they once found.

use std::fs;
use std::path::Path;
use std::process::Command;

use ringback::testing::fuzz;

/// Beside the test, since cargo packages nothing of `fuzz`, which is a package of its own.
const CORPUS: &str = "tests/fuzz_corpus";

#[test]
fn raw_corpus_passes() {
    replay("raw", fuzz::raw);
}

#[test]
fn framed_corpus_passes() {
    replay("framed", fuzz::framed);
}

#[test]
fn client_corpus_passes() {
    replay("client", fuzz::client);
}

#[test]
fn session_corpus_passes() {
    replay("session", fuzz::session);
}

/// The simulation decides by numbers whose meaning moves when it grows: a world must still be what it
/// is named for.
#[test]
fn worlds_of_the_session_corpus_are_what_they_are_named_for() {
    let report = |name: &str| {
        let world = fs::read(Path::new(CORPUS).join("session").join(name)).unwrap();
        fuzz::session_report(&world)
    };
    assert!(report("few-descriptors").counters.accept_pauses > 0);
    assert!(report("drain-in-an-accept-pause").counters.accept_pauses > 0);
    assert!(report("one-place-for-three-peers").counters.refused > 1);
    assert!(report("bulk-through-a-pipe").counters.splices > 0);
}

#[test]
fn differential_corpus_passes() {
    replay("differential", fuzz::differential);
}

#[test]
fn lifecycle_corpus_passes() {
    replay("lifecycle", fuzz::lifecycle);
}

#[test]
fn hlog_corpus_passes() {
    replay("hlog", fuzz::hlog);
}

#[test]
fn report_corpus_passes() {
    replay("report", fuzz::report);
}

#[test]
fn the_corpus_is_packaged_with_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if root.join("Cargo.toml.orig").exists() {
        eprintln!("skipped: this is the packaged crate, which cannot be packaged again");
        return;
    }
    let listing = Command::new(env!("CARGO"))
        .args(["package", "--list", "--allow-dirty", "--offline"])
        .current_dir(root)
        .output()
        .expect("cargo runs");
    let files = String::from_utf8_lossy(&listing.stdout);
    for entry in fs::read_dir(root.join(CORPUS)).expect("it is part of the repository") {
        let name = entry.expect("it can be listed").file_name().into_string().expect("UTF-8");
        assert!(files.contains(&format!("{CORPUS}/{name}")), "{name} is left out: {files}");
    }
}

fn replay(target: &str, body: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join(CORPUS).join(target);
    let mut replayed = 0;
    for entry in fs::read_dir(&corpus).expect("the corpus is part of the repository") {
        let path = entry.expect("the corpus can be listed").path();
        eprintln!("{}", path.display());
        body(&fs::read(&path).expect("a corpus file can be read"));
        replayed += 1;
    }
    assert!(replayed > 0, "{} is empty", corpus.display());
}
