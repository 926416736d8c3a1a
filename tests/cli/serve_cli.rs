//! The `ringback` program: its lines, signals and exit codes.

use std::io::{Read, Write};
use std::net::TcpListener;

use rustix::process::Signal;

use crate::support::refusal::{RINGBACK, injected};
use crate::support::tools::has_tool;
use crate::support::{Program, connect, exchange, noise, run};

#[test]
fn port_zero_is_resolved_for_every_address() {
    let mut program = Program::start(&["serve", "127.0.0.1:0", "[::1]:0", "--workers", "3"], 2);
    assert!(program.addresses.iter().all(|address| address.port() != 0));
    assert!(program.addresses[1].is_ipv6());
    for address in std::mem::take(&mut program.addresses) {
        let request = noise(100_000, 2);
        assert!(exchange(connect(address), &request) == request);
    }
}

#[test]
fn sigterm_finishes_what_was_received_and_exits_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let program = Program::start(&["serve", "127.0.0.1:0"], 1);
        let mut client = connect(program.addresses[0]);
        let mut idle = connect(program.addresses[0]);
        let request = noise(3_000_000, 4);
        client.write_all(&request[..1_000_000]).expect("sent");
        let mut reply = vec![0; request.len()];
        client.read_exact(&mut reply[..1]).expect("it is being served");
        program.signal(signal);
        let rest = &request[1_000_000..];
        std::thread::scope(|scope| {
            let mut writer = client.try_clone().expect("a descriptor can be had");
            scope.spawn(move || {
                writer.write_all(rest).expect("served while it sends");
                writer.shutdown(std::net::Shutdown::Write).expect("half-closed");
            });
            client.read_exact(&mut reply[1..]).expect("everything comes back");
        });
        assert!(reply == request);
        assert_eq!(idle.read(&mut [0; 1]).expect("a FIN, not a reset"), 0);
        drop((client, idle));
        let (status, lines) = program.wait();
        assert_eq!(status.code(), Some(0), "{lines}");
        assert!(lines.contains("finished: 2 connections"), "{lines}");
    }
}

#[test]
fn sigterm_tells_framed_peers_to_go_away() {
    use ringback::protocol::{FramedClient, Reply, Request};
    let program = Program::start(&["serve", "127.0.0.1:0", "--protocol", "framed"], 1);
    let mut stream = connect(program.addresses[0]);
    let mut client = FramedClient::new(1);
    stream.write_all(&client.request(Request::Ping, 77, &[]).expect("valid")).expect("sent");
    let mut pong = [0; 20];
    stream.read_exact(&mut pong).expect("answered");
    client.handle_input(&pong).expect("valid");
    assert_eq!(client.poll_reply(), Some(Reply::Pong { sequence: 77 }));
    program.signal(Signal::TERM);
    let mut goaway = Vec::new();
    stream.read_to_end(&mut goaway).expect("a FIN follows");
    client.handle_input(&goaway).expect("valid");
    assert_eq!(client.poll_reply(), Some(Reply::GoAway { last_sequence: 77 }));
    drop(stream);
    let (status, lines) = program.wait();
    assert_eq!(status.code(), Some(0), "{lines}");
}

#[test]
fn a_second_signal_ends_it_at_once_and_losses_are_told() {
    let program = Program::start(&["serve", "127.0.0.1:0"], 1);
    let mut client = connect(program.addresses[0]);
    client.set_nonblocking(true).expect("an option can be set");
    // Nobody reads the echo, so the server is left with bytes to send.
    let block = noise(1 << 20, 6);
    let mut refused = 0;
    while refused < 20 {
        if client.write(&block).is_err() {
            refused += 1;
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
    program.signal(Signal::TERM);
    program.signal(Signal::INT);
    let (status, lines) = program.wait();
    assert_eq!(status.code(), Some(1), "{lines}");
    assert!(!lines.contains(" 0 bytes lost"), "{lines}");
}

#[test]
fn wrong_options_are_usage_errors() {
    for (arguments, cause) in [
        (&["serve", "--nonsense"][..], "--nonsense"),
        (&["serve", "localhost"], "'localhost' for '[ADDR]...': it is not IP:PORT"),
        (&["serve", "127.0.0.1:99999"], "'127.0.0.1:99999' for '[ADDR]...': it is not IP:PORT"),
        (&["serve", "--protocol", "http"], "raw, framed"),
        (&["serve", "--cpus", "0-x"], "\"0-x\" is not a list of CPUs"),
        (&["serve", "--cpus", "0,3-1"], "the range 3-1 runs backwards: write 1-3"),
        (
            &["serve", "--cpus", "0-1024"],
            "there is no CPU 1024: the kernel's masks end at CPU 1023",
        ),
        (&["serve", "--cpus", "1000"], "CPU 1000 is not one this process may use"),
        (&["serve", "--check", "--cpus", "1000"], "CPU 1000 is not one this process may use"),
        (&["serve", "--workers", "0"], "--workers"),
        (&["serve", "127.0.0.1:7", "127.0.0.1:7"], "overlap"),
        (
            &["serve", "127.0.0.1:7", "--admin", "127.0.0.1:7"],
            "--admin 127.0.0.1:7 and the server's address 127.0.0.1:7 are one: give the admin \
             endpoint another port",
        ),
        (&["serve", "--check", "[::1]:8", "127.0.0.1:7", "--admin", "0.0.0.0:7"], "are one"),
        (&["serve", "0.0.0.0:7", "--admin", "127.0.0.1:7"], "are one"),
        (&["serve", "127.0.0.1:7", "--admin", "[::]:7"], "are one"),
        (&["serve", "[fe80::1%2]:7", "[fe80::1%2]:7"], "overlap"),
        (&["serve", "[fe80::1%lo]:7", "fe80::1%1:7"], "[fe80::1%lo]:7 and [fe80::1%lo]:7 overlap"),
        (&["serve", "[fe80::1%no-such]:7"], "no interface is called \"no-such\"; name one of"),
        (&["serve", "[::ffff:127.0.0.1]:0"], "write it as 127.0.0.1"),
        (&["serve", "224.0.0.1:7"], "224.0.0.1 is a multicast or broadcast address"),
        (&["serve", "255.255.255.255:7"], "255.255.255.255 is a multicast or broadcast address"),
        (&["serve", "[ff02::1%1]:7"], "ff02::1 is a multicast or broadcast address"),
        (&["serve", "--memory", "10"], "--memory 10 is too little for "),
        (&["serve", "--max-frame", "17MiB"], "from 1 byte to 16MiB"),
        (&["serve", "--spin", "1s"], "longer than 10ms costs more"),
        (&["serve", "--max-connections", "0"], "at least 1"),
        (&["serve", "--max-connections-per-ip", "0"], "at least 1"),
        (&["serve", "--stall-timeout", "30"], "it has no unit"),
        (&["serve", "--keepalive", "0s"], "longer than 0, or write off"),
        (&["serve", "--keepalive", "10h"], "at most 32767s"),
        (&["dance"], "dance"),
        (&[], "Usage"),
    ] {
        let (code, text) = run(arguments);
        assert_eq!(code, Some(64), "{arguments:?}: {text}");
        assert!(text.contains(cause), "{arguments:?}: {text}");
    }
}

#[test]
fn nobody_reading_standard_error_changes_nothing() {
    let program = Program::start(&["serve", "127.0.0.1:0"], 1);
    let address = program.addresses[0];
    let mut program = program.stop_listening();
    assert_eq!(exchange(connect(address), b"still here"), b"still here");
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0));
}

#[test]
fn check_prints_the_bound_and_starts_nothing() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = port.local_addr().expect("bound").to_string();
    let (code, text) = run(&["serve", &address, "--check", "--workers", "2"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("the configuration is valid; memory: at most "), "{text}");
}

#[test]
fn an_address_of_no_interface_is_unavailable() {
    let (code, text) = run(&["serve", "192.0.2.1:7"]);
    assert_eq!(code, Some(69), "{text}");
    assert!(text.contains("no interface of this host has that address"), "{text}");
}

#[test]
fn a_low_descriptor_limit_is_a_warning() {
    let mut command = std::process::Command::new("prlimit");
    command.arg("--nofile=100:100").arg(env!("CARGO_BIN_EXE_ringback"));
    let program = Program::spawn(command.args(["serve", "127.0.0.1:0", "--workers", "1"]), 1);
    let warning = "warning: the descriptor limit leaves room for ";
    assert!(program.lines.iter().any(|line| line.starts_with(warning)), "{:?}", program.lines);
}

/// The output of `ringback` with these arguments where the kernel does not tell its limits.
fn without_limits(arguments: &[&str]) -> (Option<i32>, String) {
    let output = injected("prlimit64,getrlimit", "error=EPERM", RINGBACK, arguments).output();
    let output = output.expect("strace starts");
    let text = [output.stderr, output.stdout].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn limits_that_cannot_be_read_are_said_to_be_unknown() {
    if !has_tool("strace") {
        return;
    }
    let (code, text) = without_limits(&["serve", "--check", "--workers", "1", "--driver", "epoll"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("the descriptor limit cannot be read: "), "{text}");
    // 1024 without streams, signals, what a worker and the supervisor have, and refusals.
    assert!(text.contains(" 902 connections x "), "{text}");
    let (_, text) = without_limits(&["doctor"]);
    assert_eq!(text.matches("unknown: the limit cannot be read: ").count(), 2, "{text}");
}

#[test]
fn a_bound_beyond_what_the_host_has_says_what_would_fit() {
    let (code, text) = run(&["serve", "--check", "--max-connections", "1G"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains(" MiB may be needed by 1000000000 connections, but "), "{text}");
    assert!(text.contains("lower --max-connections (to "), "{text}");
}

#[test]
fn help_and_version_go_to_standard_output_with_exit_code_0() {
    for arguments in [&["--help"][..], &["--version"], &["serve", "--help"]] {
        let (code, text) = run(arguments);
        assert_eq!((code, text.as_str()), (Some(0), ""), "{arguments:?}");
    }
}
