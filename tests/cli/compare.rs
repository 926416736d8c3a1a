//! `ringback-load compare`: what it finds, and that nothing remains of the servers it runs,
//! whatever they do.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::pictures::texts;
use crate::support::host;

/// Long enough for any machine: reaching it means that something hangs.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Two connections of a short run.
const SHORT: [&str; 6] = ["-c", "2", "-d", "300ms", "--warmup", "50ms"];

/// A place where servers leave their process numbers.
struct Scene {
    directory: TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The command of a server that behaves like this.
    fn server(&self, behaviour: &str) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/compare/server.py");
        format!(
            "'{}' -IS {script} {{addr}} '{}' {behaviour}",
            python(),
            self.path("pids").display()
        )
    }

    fn pids(&self) -> Vec<Pid> {
        let pids = fs::read_to_string(self.path("pids")).unwrap_or_default();
        pids.lines().map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()).collect()
    }

    /// Waits until at least one server runs.
    fn wait_for_server(&self) {
        let started = Instant::now();
        while self.pids().is_empty() {
            assert!(started.elapsed() < TEST_TIMEOUT, "no server was started");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asserts that some servers were run and that none of their processes is left.
    fn assert_nothing_is_left(&self) {
        let pids = self.pids();
        assert!(!pids.is_empty(), "a server was run");
        for pid in pids {
            assert!(!is_alive(pid), "process {pid:?} is left");
        }
    }
}

/// The interpreter itself: what stands for it in the path may be a script that takes long to start.
fn python() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        let program = ["-c", "import sys; print(sys.executable)"];
        let output = Command::new("python3").args(program).output().expect("python3 is installed");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    })
}

/// Returns whether a process runs. One that ended and whose end nobody has asked for does not.
fn is_alive(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
}

fn ringback() -> String {
    format!("'{}' serve {{addr}}", env!("CARGO_BIN_EXE_ringback"))
}

/// One comparison at a time: two would make each other's runs too slow to be valid.
fn compare(a: &str, b: &str, options: &[&str]) -> Output {
    static ONE: Mutex<()> = Mutex::new(());
    let _turn = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    Command::new(env!("CARGO_BIN_EXE_ringback-load"))
        .args(["compare", "--a", a, "--b", b])
        .args(SHORT)
        .args(options)
        .output()
        .unwrap()
}

/// A text without its table gives no reasons; of honest servers only the host makes a block invalid.
fn is_spoiled(text: &str) -> bool {
    let words =
        [" blocks are not valid, ", "the only block is not valid", "left out, since not valid"];
    host::spoils(text) || words.iter().any(|words| text.contains(words))
}

/// Compares where the servers must be compared: a few times, as long as the host is too busy for
/// valid runs; `None` where it is all the time.
fn compare_in_peace(a: &str, b: &str, options: &[&str]) -> Option<Output> {
    const TRIES: usize = 3;
    let output = (0..TRIES)
        .map(|_| compare(a, b, options))
        .find(|output| !is_spoiled(&String::from_utf8_lossy(&output.stdout)));
    if output.is_none() {
        eprintln!("skipped: other load on this host made each of {TRIES} comparisons invalid");
    }
    output
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn stderr_of(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_server_against_itself_is_inconclusive() {
    // No chance makes one ten times the other.
    let options = ["--blocks", "3", "--min-effect", "900%", "--format", "json"];
    let Some(output) = compare_in_peace(&ringback(), &ringback(), &options) else { return };
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let json = json_of(&output);
    assert_eq!(json["schema"], "ringback-compare/1");
    assert_eq!(json["verdict"], "inconclusive");
    assert_eq!(json["valid"], true);
    assert!(!json["reasons"].as_array().unwrap().is_empty());
    assert_eq!(json["metric"]["name"], "throughput");
    assert_eq!(json["min_effect"], 9.0);
    assert_eq!(keys(&json["ratio"]), ["high", "low", "median"]);
    assert_eq!(keys(&json["control"]), ["high", "low", "median"]);
    let blocks = json["blocks"].as_array().unwrap();
    let orders: Vec<&str> = blocks.iter().map(|block| block["order"].as_str().unwrap()).collect();
    assert_eq!(orders, ["ABBA", "BAAB", "ABBA"]);
    for block in blocks {
        let number = |key: &str| block[key].as_f64().unwrap();
        assert_eq!(block["valid"], true, "{block}");
        assert!((number("b") / number("a") / number("ratio") - 1.0).abs() < 1e-9);
        assert_eq!(block["runs"].as_array().unwrap().len(), 4);
    }
    assert_eq!(json["commands"]["a"], ringback());
    assert_eq!(json["config"]["connections"], 2);
    assert!(json["host"]["kernel"].is_string());
    let estimate = stderr_of(&output);
    assert!(estimate.starts_with("comparing: 12 runs in 3 blocks, about "), "{estimate}");
    assert_eq!(estimate.lines().count(), 1, "no progress where stderr is not a terminal");
}

#[test]
fn both_servers_are_drawn_in_one_picture_and_the_report_needs_none() {
    let scene = Scene::new();
    let picture = scene.path("picture").display().to_string();
    let once = ["--blocks", "1", "-v", "--svg"];
    let options = [&once[..], &[&picture]].concat();
    let Some(output) = compare_in_peace(&ringback(), &ringback(), &options) else { return };
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let svg = fs::read_to_string(&picture).unwrap();
    let texts = texts(&svg);
    let has = |words: &str| texts.iter().any(|text| text.contains(words));
    assert_eq!(texts[0], "Latency of a and b");
    for words in ["closed loop", "service time: send → reply", "Linux ", "Latency by percentile"]
    {
        assert!(has(words), "{words} in {texts:?}");
    }
    // A curve each, described in words.
    for words in ["a: p50 ", "b: p50 "] {
        assert!(svg.contains(words), "{words} in {svg}");
    }

    let output = compare(&ringback(), &ringback(), &[&once[..], &["/dev/full"]].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let stderr = stderr_of(&output);
    assert!(stderr.contains("cannot write the picture to /dev/full: No space"), "{stderr}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("VALID"), "{output:?}");
}

#[test]
fn a_server_slowed_on_purpose_is_found_worse() {
    let scene = Scene::new();
    let (plain, slow) = (scene.server(""), scene.server("slow"));
    // With three, one block beside other tests makes an interval that covers everything.
    let options = ["--blocks", "5", "--quiet", "--format", "json"];
    let Some(output) = compare_in_peace(&plain, &slow, &options) else { return };
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    let json = json_of(&output);
    assert_eq!(json["verdict"], "a", "{json:#}");
    assert!(json["reasons"].as_array().unwrap().is_empty());
    assert!(json["ratio"]["high"].as_f64().unwrap() < 1.0);
    scene.assert_nothing_is_left();
}

#[test]
fn what_must_not_be_is_exit_code_3_and_what_cannot_be_said_6() {
    let scene = Scene::new();
    let (plain, slow) = (scene.server(""), scene.server("slow"));
    // Its throughput is a twentieth.
    let gates = ["--fail-if", "b/a<0.5", "--fail-if", "a/b>2", "--fail-if", "b/a>1.05"];
    let options = [&["--blocks", "3", "--quiet", "--format", "json"], &gates[..]].concat();
    let Some(output) = compare_in_peace(&plain, &slow, &options) else { return };
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let json = json_of(&output);
    let met: Vec<_> = json["gates"].as_array().unwrap().iter().map(|gate| &gate["met"]).collect();
    assert_eq!(met, [true, true, false]);

    // One block has no interval, so nothing is certain.
    let once = ["--blocks", "1", "--quiet", "--format", "json"];
    for (options, code) in [
        (&["--fail-if", "b/a<0.5"][..], 0),
        (&["--fail-if", "b/a<0.5", "--fail-inconclusive"], 6),
        (&["--fail-inconclusive"], 6),
        (&["--fail-inconclusive", "--assert", "p50<1ns"], 3),
    ] {
        let options = [&once[..], options].concat();
        let Some(output) = compare_in_peace(&plain, &slow, &options) else { return };
        assert_eq!(output.status.code(), Some(code), "{options:?} {output:?}");
        let ratio = &json_of(&output)["ratio"];
        assert!(ratio["median"].is_number() && ratio["low"].is_null() && ratio["high"].is_null());
    }
}

#[test]
fn the_text_says_who_is_better_and_by_how_much() {
    let scene = Scene::new();
    let report = scene.path("report");
    let options = ["--blocks", "3", "--metric", "p50", "-o", report.to_str().unwrap()];
    let output = compare(&scene.server("slow"), &scene.server(""), &options);
    let text = fs::read_to_string(report).unwrap();
    if is_spoiled(&text) {
        eprintln!("skipped: other load on this host made the comparison invalid");
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stdout.is_empty());
    let answer = text.split("\n\n").nth(1).expect(&text);
    let answer = answer.lines().next().expect(&text);
    assert!(answer.starts_with("b is better: "), "{text}");
    assert!(answer.contains(" less p50 latency ("), "{text}");
    assert!(text.contains("use --blocks 6 or more"), "{text}");
    assert!(!text.contains("ABBA"), "the blocks are for -v: {text}");
}

#[test]
fn cpu_time_is_what_the_server_used_and_not_how_long_it_took() {
    let scene = Scene::new();
    let options = ["--blocks", "3", "--metric", "cpu", "--quiet", "--format", "json"];
    // Both take 2 ms for a message, and one of them works meanwhile.
    let servers = (scene.server("slow"), scene.server("burn"));
    let Some(output) = compare_in_peace(&servers.0, &servers.1, &options) else { return };
    let json = json_of(&output);
    assert_eq!(json["verdict"], "a", "{json:#}");
    let cpu_ns = |side: &str| json["blocks"][0][side].as_f64().unwrap();
    assert!(cpu_ns("b") > 2e6, "at least what it burnt: {json:#}");
    assert!(cpu_ns("a") < 2e6, "{json:#}");
}

#[test]
fn a_server_that_fails_is_a_clear_error_and_nothing_is_left() {
    let cases: &[(&str, i32, &[&str])] = &[
        (
            "die-at-once",
            1,
            &["server b (", "ended before it took a connection", "exit status: 3", "giving up"],
        ),
        (
            "never-listen",
            1,
            &["server b (", "did not take a connection within 2.00 s", "--start-timeout"],
        ),
        // It answers, and not with what it received.
        ("greet", 1, &["server b (", "is no server that echoes raw messages", "\"SSH-2.0-x"]),
        ("die-serving", 4, &["block 1: server b (", "died", "exit status: 7", "out of luck"]),
        ("ignore-term", 4, &["block 1: server b (", "SIGTERM", "killed", "--stop-timeout"]),
        ("leave-child", 4, &["block 1: server b (", "left behind", "process "]),
    ];
    for (behaviour, code, words) in cases {
        let scene = Scene::new();
        let timeouts = ["--start-timeout", "2s", "--stop-timeout", "1s", "--format", "json"];
        let output = compare(&scene.server(""), &scene.server(behaviour), &timeouts);
        let stderr = stderr_of(&output);
        assert_eq!(output.status.code(), Some(*code), "{behaviour}: {stderr}");
        for word in *words {
            assert!(stderr.contains(word), "{behaviour}: {word:?} in {stderr}");
        }
        assert!(!stderr.contains('\x1b'), "{stderr:?}");
        scene.assert_nothing_is_left();
        if *code == 4 {
            let json = json_of(&output);
            assert_eq!((&json["valid"], &json["verdict"]), (&false.into(), &"inconclusive".into()));
            assert!(json["reasons"][0].as_str().unwrap().contains("server b ("), "{json:#}");
        } else {
            assert!(output.stdout.is_empty());
        }
    }
}

#[test]
fn a_server_that_leaves_its_group_is_named_with_its_port() {
    let scene = Scene::new();
    let output = compare(&scene.server("daemonize"), &ringback(), &[]);
    let daemon = *scene.pids().last().unwrap();
    assert!(is_alive(daemon), "it left the group that was killed");
    kill_process(daemon, Signal::KILL).unwrap();
    let stderr = stderr_of(&output);
    // On a busy machine it has gone before the first connection, or after the last.
    assert!(matches!(output.status.code(), Some(1 | 4)), "{stderr}");
    let owner = format!("process {} of user", daemon.as_raw_pid());
    for words in ["server a (", owner.as_str()] {
        assert!(stderr.contains(words), "{words:?} in {stderr}");
    }
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let output = compare("/no/such/program {addr}", &ringback(), &[]);
    let stderr = stderr_of(&output);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("server a (/no/such/program {addr}) cannot be started"), "{stderr}");
}

#[test]
fn runs_that_are_not_valid_are_told_and_not_compared() {
    let scene = Scene::new();
    let options = ["--blocks", "3", "--format", "json"];
    let output = compare(&scene.server(""), &scene.server("alter"), &options);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let json = json_of(&output);
    assert_eq!((&json["valid"], &json["ratio"]), (&false.into(), &Value::Null));
    // More than half of three: the third is not worth the wait.
    assert_eq!(json["blocks"].as_array().unwrap().len(), 2);
    let reasons = json["blocks"][0]["reasons"].as_array().unwrap();
    let told = |reason: &Value| {
        let reason = reason.as_str().unwrap();
        reason.starts_with("run 2 (b): ") && reason.contains("corrupted")
    };
    assert!(reasons.iter().any(told), "{reasons:?}");
    assert!(stderr_of(&output).contains("2 of 3 blocks are not valid, at most half may be"));
    scene.assert_nothing_is_left();
}

#[test]
fn what_is_asserted_must_hold_of_both_servers() {
    let options = ["--blocks", "1", "--format", "json"];
    let claims = ["--assert", "p50<10s", "--assert", "p50<1ns"];
    let options = [&options[..], &claims[..]].concat();
    let Some(output) = compare_in_peace(&ringback(), &ringback(), &options) else { return };
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let json = json_of(&output);
    assert_eq!(json["valid"], true);
    let told: Vec<_> = json["assertions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|claim| {
            assert!(claim["median"].as_f64().unwrap() > 1.0, "{claim}");
            let words = ["server", "assertion"].map(|key| claim[key].as_str().unwrap());
            let counts = ["runs", "met_in"].map(|key| claim[key].as_u64().unwrap());
            (words, counts, claim["met"].as_bool().unwrap())
        })
        .collect();
    assert_eq!(
        told,
        [
            (["a", "p50<10s"], [2, 2], true),
            (["b", "p50<10s"], [2, 2], true),
            (["a", "p50<1ns"], [2, 0], false),
            (["b", "p50<1ns"], [2, 0], false),
        ]
    );

    let options = ["--blocks", "1", "--assert", "p50<10s"];
    let Some(text) = compare_in_peace(&ringback(), &ringback(), &options) else { return };
    assert_eq!(text.status.code(), Some(0), "{text:?}");
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains(" a: p50<10s, met in both runs, median "), "{text}");
}

#[test]
fn what_is_not_possible_is_a_usage_error() {
    let cases: &[(&str, &[&str], &str)] = &[
        ("ringback serve", &[], "it does not say where to listen"),
        ("", &[], "it is empty"),
        ("ringback 'serve {addr}", &[], "a quote is not closed"),
        ("x {addr}", &["--blocks", "0"], "--blocks 0 is not possible: use 1 to 1k"),
        ("x {addr}", &["--min-effect", "1"], "use %, as in 1%"),
        ("x {addr}", &["--metric", "speed"], "invalid value 'speed'"),
        ("x {addr}", &["--metric", "throughput", "-r", "1k"], "compares nothing with --rate"),
        ("x {addr}", &["--server-cpus", "1000"], "--server-cpus: CPU 1000"),
        ("x {addr}", &["--assert", "p99"], "it compares nothing"),
        ("x {addr}", &["--fail-if", "b/a>5%"], "its limit \"5%\" is not a number above 0"),
    ];
    for (server, options, words) in cases {
        let output = compare(server, &ringback(), options);
        let stderr = stderr_of(&output);
        assert_eq!(output.status.code(), Some(2), "{server} {options:?}: {stderr}");
        assert!(stderr.contains(words), "{words:?} in {stderr}");
    }
}

/// Starts a comparison that would take long, and returns it when a server runs.
fn long_comparison(scene: &Scene, behaviour: &str) -> Child {
    let options = ["--blocks", "100", "--stop-timeout", "5s", "-d", "30s"];
    let arguments: Vec<&str> = SHORT[..2].iter().chain(&options).copied().collect();
    let server = scene.server(behaviour);
    let child = Command::new(env!("CARGO_BIN_EXE_ringback-load"))
        .args(["compare", "--a", &server, "--b", &server])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    scene.wait_for_server();
    child
}

#[test]
fn an_interrupt_ends_the_servers_first() {
    for signal in [Signal::INT, Signal::TERM] {
        let scene = Scene::new();
        let child = long_comparison(&scene, "");
        // Into the run, or before it: both must do.
        thread::sleep(Duration::from_millis(300));
        kill_process(Pid::from_child(&child), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(5), "{output:?}");
        assert!(stderr_of(&output).contains("interrupted"), "{output:?}");
        scene.assert_nothing_is_left();
    }
}

#[test]
fn an_interrupt_does_not_wait_for_a_server_to_stop() {
    let scene = Scene::new();
    let child = long_comparison(&scene, "ignore-term");
    thread::sleep(Duration::from_millis(300));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    // After --stop-timeout it would be the server's fault.
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    scene.assert_nothing_is_left();
}

#[test]
fn a_second_interrupt_does_not_wait_for_a_server_that_does_not_end() {
    let scene = Scene::new();
    let mut child = long_comparison(&scene, "ignore-term leave-child");
    thread::sleep(Duration::from_millis(500));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    thread::sleep(Duration::from_millis(300));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    scene.assert_nothing_is_left();
}

#[test]
fn sigquit_leaves_no_server() {
    let scene = Scene::new();
    let mut child = long_comparison(&scene, "ignore-term leave-child");
    thread::sleep(Duration::from_millis(300));
    kill_process(Pid::from_child(&child), Signal::QUIT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(131));
    scene.assert_nothing_is_left();
}

#[test]
fn not_even_sigkill_leaves_the_server_behind() {
    let scene = Scene::new();
    let mut child = long_comparison(&scene, "ignore-term");
    child.kill().unwrap();
    child.wait().unwrap();
    let started = Instant::now();
    while scene.pids().into_iter().any(is_alive) {
        assert!(started.elapsed() < TEST_TIMEOUT, "the server outlives the program");
        thread::sleep(Duration::from_millis(5));
    }
}
