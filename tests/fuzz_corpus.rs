//! Replays the committed fuzz corpus: what the fuzzers start from, and what they once found.

use std::fs;
use std::path::Path;

use ringback::testing::fuzz;

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

fn replay(target: &str, body: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut replayed = 0;
    for entry in fs::read_dir(&corpus).expect("the corpus is part of the repository") {
        let path = entry.expect("the corpus can be listed").path();
        eprintln!("{}", path.display());
        body(&fs::read(&path).expect("a corpus file can be read"));
        replayed += 1;
    }
    assert!(replayed > 0, "{} is empty", corpus.display());
}
