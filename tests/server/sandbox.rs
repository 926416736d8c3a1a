//! A server that is closed in serves as one that is not.

use std::fs;
use std::io::Write;
use std::process::Command;

use ringback::protocol::Kind;
use ringback::server::DriverKind;
use rustix::process::Signal;

use crate::support::framed::frame;
use crate::support::http::{Scrape, get};
use crate::support::refusal::{RINGBACK, injected};
use crate::support::tools::{has_tool, is_root};
use crate::support::{Program, connect, exchange, noise, run};

fn start(driver: DriverKind, more: &[&str]) -> Program {
    let arguments = ["serve", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--sandbox", "on"];
    Program::start(&[&arguments[..], &["--driver", driver.name()], more].concat(), 1)
}

#[test]
fn every_thread_is_filtered_and_has_no_new_privileges() {
    for driver in DriverKind::ALL {
        let program = start(driver, &[]);
        let tasks = fs::read_dir(format!("/proc/{}/task", program.id())).expect("it runs");
        let statuses: Vec<_> = tasks
            .map(|task| fs::read_to_string(task.expect("it runs").path().join("status")))
            .map(|status| status.expect("it runs"))
            .collect();
        for status in &statuses {
            assert!(status.contains("Seccomp:\t2\n"), "{status}");
            assert!(status.contains("NoNewPrivs:\t1\n"), "{status}");
        }
        let line = format!("seccomp on {} threads", statuses.len());
        let said = program.lines.iter().find(|line| line.starts_with("sandbox: "));
        let said = said.expect("it says so before it listens");
        assert!(said.contains(&line), "{said}");
        let of_rings = match driver {
            DriverKind::Uring => "rings restricted, ",
            DriverKind::TokioUring => "rings not restricted (tokio-uring makes its own), ",
            DriverKind::Epoll => "sandbox: seccomp",
        };
        assert!(said.contains(of_rings), "{said}");
    }
}

#[test]
fn serving_scraping_draining_and_counting_go_on() {
    for driver in DriverKind::ALL {
        let program = start(driver, &["--log-level", "debug", "--drain-quiet", "100ms"]);
        let (admin, address) = (program.admin(), program.addresses[0]);
        let request = noise(8 << 20, 7);
        assert!(exchange(connect(address), &request) == request, "{driver}");
        let mut open = connect(address);
        open.write_all(b"left open").expect("it reads");
        assert_eq!(get(admin, "/readyz").0, 200, "{driver}");
        let scrape = Scrape::of(admin);
        assert!(scrape.sum("process_resident_memory_bytes", &[]) > 0.0, "{driver}");
        assert!(scrape.sum("ringback_worker_cpu_seconds_total", &[]) > 0.0, "{driver}");
        let can_splice = driver != DriverKind::TokioUring;
        assert_eq!(scrape.sum("ringback_splices_total", &[]) > 0.0, can_splice, "{driver}");
        program.signal(Signal::USR1);
        program.signal(Signal::TERM);
        let (status, text) = program.wait();
        assert_eq!(status.code(), Some(0), "{driver}: {text}");
        assert!(text.contains("abandoned: 0 connections, 0 bytes lost"), "{driver}: {text}");
        // That of SIGUSR1 and the last.
        assert_eq!(text.matches(" bytes received, ").count(), 2, "{driver}: {text}");
    }
}

#[test]
fn hostile_peers_and_exhaustion_need_no_other_calls() {
    for driver in DriverKind::ALL {
        let options = ["--protocol", "framed", "--max-connections", "4", "--workers", "1"];
        let more = ["--memory", "16MiB", "--max-connections-per-ip", "4"];
        let program = start(driver, &[&options[..], &more].concat());
        let address = program.addresses[0];
        exchange(connect(address), b"GET / HTTP/1.1\r\nHost: of somebody\r\n\r\n");
        let held: Vec<_> = (0..12).map(|_| connect(address)).collect();
        drop(held);
        // Until their places are free again.
        loop {
            let sent = frame(Kind::Echo, 1, b"message");
            if exchange(connect(address), &sent) == sent {
                break;
            }
        }
        let scrape = Scrape::of(program.admin());
        // A call that the filter lacks would fail connections.
        assert_eq!(scrape.sum("ringback_connections_closed_total", &["reason=\"failed\""]), 0.0);
        assert!(scrape.sum("ringback_connections_refused_total", &[]) > 0.0, "{driver}");
        assert_eq!(scrape.sum("ringback_protocol_errors_total", &["code=\"bad_magic\""]), 1.0);
        program.signal(Signal::TERM);
        program.signal(Signal::INT);
        let (status, text) = program.wait();
        assert!(matches!(status.code(), Some(0 | 1)), "{driver}: {text}");
    }
}

#[test]
fn off_filters_nothing() {
    let program = Program::start(&["serve", "127.0.0.1:0", "--sandbox", "off"], 1);
    let status = fs::read_to_string(format!("/proc/{}/status", program.id())).expect("it runs");
    assert!(status.contains("Seccomp:\t0\n"), "{status}");
}

#[test]
fn where_no_filter_can_be_had_auto_warns_and_on_does_not_serve() {
    if !has_tool("strace") {
        return;
    }
    let without = |sandbox: &str| {
        let arguments = ["serve", "127.0.0.1:0", "--sandbox", sandbox];
        injected("seccomp", "error=ENOSYS", RINGBACK, &arguments)
    };
    let program = Program::spawn(&mut without("auto"), 1);
    assert!(program.lines.iter().any(|line| line.starts_with("warning: sandbox: ")));
    assert_eq!(exchange(connect(program.addresses[0]), b"message"), b"message");
    drop(program);
    let (status, text) = Program::spawn(&mut without("on"), 0).wait();
    assert_eq!(status.code(), Some(69), "{text}");
    assert!(text.contains("--sandbox auto"), "{text}");
    let (code, text) = run(&["serve", "--sandbox", "maybe"]);
    assert_eq!(code, Some(64), "{text}");
}

#[test]
fn a_server_in_a_root_without_proc_serves() {
    if !is_root() || !has_tool("unshare") {
        return;
    }
    for driver in DriverKind::ALL {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", "mount -t tmpfs none /proc && exec \"$@\"", "sh"]);
        command.args([env!("CARGO_BIN_EXE_ringback"), "serve", "127.0.0.1:0"]);
        command.args(["--admin", "127.0.0.1:0", "--driver", driver.name()]);
        let program = Program::spawn(&mut command, 1);
        assert_eq!(exchange(connect(program.addresses[0]), b"message"), b"message");
        let scrape = Scrape::of(program.admin());
        assert_eq!(scrape.sum("ringback_worker_cpu_seconds_total", &[]), 0.0);
        program.signal(Signal::TERM);
        let (status, text) = program.wait();
        assert_eq!(status.code(), Some(0), "{text}");
    }
}
