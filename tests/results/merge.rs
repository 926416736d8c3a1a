//! What cannot be merged, and why.

use std::fs;

use crate::support::{Directory, assert_fails, measure, ringback_load};

#[test]
fn what_is_no_log_names_file_line_and_cause() {
    let directory = Directory::new();
    let save = |name: &str, bytes: &[u8]| {
        fs::write(directory.file(name), bytes).unwrap();
        directory.file(name)
    };
    let good = directory.file("good.hlog");
    measure(&["--hlog", &good]);
    let bytes = fs::read(&good).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let lines = text.lines().count();
    let (_, histogram) = text.lines().last().unwrap().rsplit_once(',').unwrap();
    let damaged = text.replace(histogram, &histogram[..histogram.len() / 8 * 4]);
    let coarse =
        "Tag=service,0.000,1.000,0.000,HISTFAAAABx4nJNpmSzMwMDAxQABzFCaEUoz2X+AMIAAPXMC1Q==\n";
    let cases = [
        (directory.file("missing"), "No such file or directory".to_owned()),
        (directory.path().display().to_string(), "Is a directory".to_owned()),
        (save("empty", b""), "there is no interval".to_owned()),
        (save("image", b"\x89PNG\r\n\x1a\n\0\0"), "line 1: it is not a line of an".to_owned()),
        (save("report", b"{\n \"schema\": 1\n}\n"), "line 1: it is not a line of an".to_owned()),
        (save("cut", &bytes[..bytes.len() - 10]), format!("line {lines}: it is cut off")),
        (save("damaged", damaged.as_bytes()), "its histogram is damaged".to_owned()),
        (save("other", coarse.as_bytes()), "line 1: its histogram".to_owned()),
    ];
    for (file, words) in cases {
        let into = directory.file("merged");
        let output = ringback_load(&["merge", &good, &file, "--hlog", &into]);
        assert_fails(&output, 1, &format!("cannot read {file}: "));
        assert_fails(&output, 1, &words);
        assert!(output.stdout.is_empty() && !directory.files().contains(&"merged".to_owned()));
    }
}

#[test]
fn what_is_merged_of_an_interrupted_run_is_incomplete() {
    let directory = Directory::new();
    let [whole, cut, into] = ["whole", "cut", "into"].map(|name| directory.file(name));
    measure(&["--hlog", &whole]);
    assert_eq!(ringback_load(&["merge", &whole]).status.code(), Some(0));
    let log = fs::read_to_string(&whole).unwrap() + "#[Incomplete: interrupted at 1 s]\n";
    fs::write(&cut, log).unwrap();
    let output = ringback_load(&["merge", &whole, &cut, "--hlog", &into]);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let verdict = format!("Verdict      INCOMPLETE\n  - {cut}: interrupted at 1 s\n");
    assert!(text.ends_with(&verdict), "{text}");
    // So is what is merged of that, and the form for programs says so.
    let output = ringback_load(&["merge", &into, "--format", "json"]);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["incomplete"][0], format!("{into}: {cut}: interrupted at 1 s"));
}

#[test]
fn a_merge_that_makes_no_sense_is_a_usage_error() {
    let directory = Directory::new();
    let log = directory.file("log");
    measure(&["--hlog", &log]);
    let same = directory.path().join("./log").display().to_string();
    assert_fails(&ringback_load(&["merge", &log, &same]), 2, "is named twice");
    let output = ringback_load(&["merge"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let output = ringback_load(&["-c", "2", "merge"]);
    assert_fails(&output, 2, "merge must come first: write ringback-load merge, then its options");
}
