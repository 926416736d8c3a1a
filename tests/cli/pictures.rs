//! Pictures from the command line: of a run, of saved results, and why there is none.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use roxmltree::Document;

fn ringback_load(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringback-load")).args(arguments).output().unwrap()
}

/// The texts of a picture, in their order.
pub(crate) fn texts(svg: &str) -> Vec<String> {
    let document = Document::parse(svg).unwrap();
    assert_eq!(document.root_element().tag_name().name(), "svg");
    let texts = document.descendants().filter(|node| node.tag_name().name() == "text");
    texts.filter_map(|node| node.text().map(str::to_owned)).collect()
}

/// Saves the report of a short run, and its picture.
fn run_in(directory: &Path, name: &str, more: &[&str]) -> (String, String) {
    let file = |ending: &str| directory.join(format!("{name}.{ending}")).display().to_string();
    let (json, svg) = (file("json"), file("svg"));
    let mut arguments = vec!["-c", "2", "--warmup", "50ms", "--format", "json"];
    arguments.extend(["-o", &json, "--svg", &svg]);
    arguments.extend(more);
    if !more.contains(&"-d") {
        arguments.extend(["-d", "400ms"]);
    }
    let output = ringback_load(&arguments);
    // A busy machine may make it invalid; it is drawn all the same.
    assert!(matches!(output.status.code(), Some(0 | 4)), "{output:?}");
    (json, svg)
}

#[test]
fn a_run_is_drawn_with_what_was_measured() {
    let directory = tempfile::tempdir().unwrap();
    let (_, svg) = run_in(directory.path(), "closed", &[]);
    let texts = texts(&fs::read_to_string(svg).unwrap());
    let has = |words: &str| texts.iter().any(|text| text.contains(words));
    assert_eq!(texts[0], "Latency of the embedded server");
    for words in ["closed loop", "2 connections × 64 B, raw", "Linux ", " UTC", "/s answered"] {
        assert!(has(words), "{words} in {texts:?}");
    }
    assert!(has("Latency by percentile") && has("service") && has("99 %"), "{texts:?}");
    assert!(has("Latency over time") && has("slowest") && has("Throughput"), "{texts:?}");
    for column in ["p50", "p90", "p99", "p99.9", "max"] {
        assert!(has(column), "{column} in {texts:?}");
    }
}

#[test]
fn an_open_loop_is_drawn_below_what_was_offered() {
    let directory = tempfile::tempdir().unwrap();
    let (_, svg) = run_in(directory.path(), "open", &["-r", "500"]);
    let texts = texts(&fs::read_to_string(svg).unwrap());
    for words in ["offered: 500/s", "answered", "response time: due → reply"] {
        assert!(texts.iter().any(|text| text == words), "{words} in {texts:?}");
    }
}

#[test]
fn saved_reports_are_drawn_over_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let (closed, _) = run_in(directory.path(), "closed", &[]);
    let (open, _) = run_in(directory.path(), "open", &["-r", "500"]);
    let output = ringback_load(&["plot", &closed, &open]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let texts = texts(std::str::from_utf8(&output.stdout).unwrap());
    assert_eq!(texts[0], "Latency of 2 runs");
    let has = |words: &str| texts.iter().any(|text| text.contains(words));
    assert!(has("closed.json, service") && has("open.json, response"), "{texts:?}");
}

#[test]
fn a_picture_never_takes_the_place_of_what_it_is_drawn_from() {
    let directory = tempfile::tempdir().unwrap();
    let (report, _) = run_in(directory.path(), "run", &[]);
    let before = fs::read(&report).unwrap();
    let other = directory.path().join("other.svg").display().to_string();
    fs::hard_link(&report, &other).unwrap();
    for output in [&report, &other] {
        let output = ringback_load(&["plot", &report, "-o", output]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("--output names") && stderr.contains("which is read"), "{stderr}");
        assert!(fs::read(&report).unwrap() == before);
    }
}

#[test]
fn a_log_is_drawn_over_time_and_beside_other_forms() {
    let directory = tempfile::tempdir().unwrap();
    let file = |ending: &str| directory.path().join(ending).display().to_string();
    let log = file("run.hlog");
    run_in(directory.path(), "run", &["-d", "2s", "-r", "500", "--hlog", &log]);
    let output = ringback_load(&["plot", &log]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let alone = texts(std::str::from_utf8(&output.stdout).unwrap());
    assert_eq!(alone[0], "Latency of run.hlog");
    for words in ["response time: due → reply", "Latency over time", "Throughput", " messages"] {
        assert!(alone.iter().any(|text| text.contains(words)), "{words} in {alone:?}");
    }
    let output = ringback_load(&["plot", &log, &file("run.json")]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let together = texts(std::str::from_utf8(&output.stdout).unwrap());
    assert_eq!(together[0], "Latency of 2 runs");
    for words in ["run.hlog", "run.json", "Latency over time of run.hlog"] {
        assert!(together.iter().any(|text| text == words), "{words} in {together:?}");
    }
}

#[test]
fn what_cannot_be_drawn_names_file_cause_and_fix() {
    let directory = tempfile::tempdir().unwrap();
    let save = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let notes = save("notes.txt", "not a result");
    let other = save("other.json", "{\"schema\": \"other/1\"}");
    let cut = save("cut.json", "{\"schema\": \"ringback-load/1\", \"target\"");
    let missing = directory.path().join("missing.json").display().to_string();
    let table = save("run.hgrm", "Value Percentile TotalCount 1/(1-Percentile)\n1.0 0.5 5 2.0\n");
    let comparison = save("compare.json", "{\"schema\": \"ringback-compare/1\"}");
    let log = save("run.hlog", "1.0,1.0,2.0,HISTFAAAAA\n");
    let many = vec![table.as_str(); 13];
    let csv = save("run.csv", "\"Value\",\"Percentile\",\"TotalCount\",\"1/(1-Percentile)\"\n");
    let wrk = save(
        "wrk.txt",
        "Running 30s test @ http://127.0.0.1:80/\n  2 threads and 10 connections\n",
    );
    let cases: &[(&[&str], &[&str])] = &[
        (&[&csv], &["cannot draw", "run.csv", "percentile table in CSV"]),
        (&[&wrk], &["cannot draw", "wrk.txt", "the output of wrk or wrk2"]),
        (&[&missing], &["cannot read", "missing.json", "No such file"]),
        (&[directory.path().to_str().unwrap()], &["cannot read", "Is a directory"]),
        (&[&notes], &["cannot draw", "notes.txt", "save one with --format json"]),
        (&[&table], &["cannot draw", "run.hgrm", "percentile table", "draw the log (--hlog)"]),
        (&[&comparison], &["cannot draw", "\"ringback-compare/1\"", "it draws ringback-load/1"]),
        (&[&log], &["cannot draw", "run.hlog", "line 1: its histogram is damaged"]),
        (&[&other], &["cannot draw", "other.json", "\"other/1\"", "ringback-load/1"]),
        (&[&cut], &["cannot draw", "cut.json", "not a whole JSON report", "save it anew"]),
    ];
    for (arguments, words) in cases {
        let output = ringback_load(&[&["plot"], *arguments].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(output.stdout.is_empty());
        for word in *words {
            assert!(stderr.contains(word), "{word:?} in {stderr}");
        }
    }
    let output = ringback_load(&[&["plot"], many.as_slice()].concat());
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("13 files are too many") && stderr.contains("name at most 12"));
    let output = ringback_load(&["plot"]);
    assert_eq!(output.status.code(), Some(2));
    for (arguments, words) in [
        (["--svg", "/no/such/directory/x.svg"].as_slice(), "choose another --svg"),
        (&["--svg", "same", "-o", "./same"], "name the same file"),
        (&["--svg", "same", "-o", "same"], "name the same file"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringback-load"));
        let output = command.current_dir(directory.path()).args(arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(words), "{stderr}");
    }
}
