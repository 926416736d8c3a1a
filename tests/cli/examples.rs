//! The examples do what they say, with peers that are not ours.

use std::path::Path;
use std::process::Command;

use crate::support::tools::has_tool;
use crate::support::{Program, connect, exchange};

/// An example; `cargo test` has built it, unless it was told which tests to build.
fn example(name: &str) -> Command {
    let this = std::env::current_exe().expect("a test has a program");
    let profile = this.parent().and_then(Path::parent).expect("it lies in target");
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--locked", "--example", name]);
    if profile.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().expect("cargo runs this test").success());
    Command::new(profile.join("examples").join(name))
}

#[test]
fn ping_server_answers_as_redis_does() {
    let server = Program::spawn(example("ping_server").arg("127.0.0.1:0"), 1);
    let commands = b"PING\r\n*1\r\n$4\r\nping\r\n*2\r\n$3\r\nGET\r\n$4\r\nPING\r\nPING\r\n";
    let reply = exchange(connect(server.addresses[0]), commands);
    let reply = String::from_utf8(reply).expect("it is text");
    assert_eq!(reply, "+PONG\r\n+PONG\r\n-ERR unknown command\r\n+PONG\r\n");
    let pipelined = exchange(connect(server.addresses[0]), &b"PING\r\n".repeat(10_000));
    assert!(pipelined == b"+PONG\r\n".repeat(10_000));
    let endless = exchange(connect(server.addresses[0]), &[b'x'; 1000]);
    assert!(endless.is_empty(), "a line has a limit");
}

#[test]
fn redis_benchmark_runs_against_ping_server() {
    if !has_tool("redis-benchmark") {
        return;
    }
    let server = Program::spawn(example("ping_server").arg("127.0.0.1:0"), 1);
    let port = server.addresses[0].port().to_string();
    let output = Command::new("redis-benchmark")
        .args(["-p", &port, "-t", "ping_inline,ping_mbulk", "-n", "5000", "--csv"])
        .output()
        .expect("it is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !text.contains("Error"), "{text}");
    assert!(text.contains("PING_INLINE") && text.contains("PING_MBULK"), "{text}");
}

#[test]
fn framed_client_gets_its_echo_from_the_program() {
    let server = Program::start(&["serve", "127.0.0.1:0", "--protocol", "framed"], 1);
    let mut client = example("framed_client");
    let output = client
        .args([&server.addresses[0].to_string(), "any message"])
        .output()
        .expect("cargo built it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "echo 1: any message\n");
}
