//! Servers where the kernel refuses io_uring.

use std::net::SocketAddr;
use std::process::Command;

use ringback::server::{Config, DriverKind, Notice, RingSize, Server};

use crate::support::refusal::{ANSWERS, Call, RINGBACK, filtered, injected, refused, with_memlock};
use crate::support::{Program, connect, exchange};

/// Drivers that cannot do without a ring.
const RINGS: [&str; 2] = ["uring", "tokio-uring"];

/// The server works by this driver, and has nothing to warn of.
fn assert_serves(driver: &str, mut command: Command) {
    let program = Program::spawn(&mut command, 1);
    assert_eq!(exchange(connect(program.addresses[0]), b"Hello, world"), b"Hello, world");
    let lines = &program.lines;
    assert!(lines.iter().any(|line| line.ends_with(&format!(", driver {driver}"))), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.starts_with("warning: ")), "{lines:#?}");
}

/// The server works by epoll, and says once why, naming all of this.
fn assert_falls_back(mut command: Command, named: &[&str]) {
    let program = Program::spawn(&mut command, 1);
    let address = program.addresses[0];
    assert_eq!(exchange(connect(address), b"Hello, world"), b"Hello, world");
    let lines = &program.lines;
    let warnings: Vec<_> = lines.iter().filter(|line| line.starts_with("warning: ")).collect();
    let [warning] = warnings.as_slice() else { panic!("not one warning: {lines:#?}") };
    assert!(warning.starts_with("warning: the epoll driver serves, since io_uring cannot"));
    for part in named {
        assert!(warning.contains(part), "{part:?} is missing in {warning:?}");
    }
    assert!(lines.iter().any(|line| line.ends_with(", driver epoll")), "{lines:#?}");
}

/// The server does not start with this driver, and says why, naming all of this.
fn assert_unavailable(driver: &str, mut command: Command, named: &[&str]) {
    let output = command.output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{text}");
    assert!(!text.contains("listening on"), "{text}");
    assert!(text.contains(&format!("the {driver} driver cannot run here: ")), "{text}");
    for part in named {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
}

#[test]
fn the_native_driver_is_taken_where_it_works() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringback"));
    command.args(["serve", "127.0.0.1:0", "--workers", "1"]);
    assert_serves("uring", command);
}

/// The fast mode is asked for first each time, so each thread's every other request is for it.
#[test]
fn a_kernel_without_the_fast_mode_is_served_by_rings_and_says_so_once() {
    let serve = ["serve", "127.0.0.1:0", "--workers", "2"];
    let program = Program::spawn(
        &mut injected("io_uring_setup", "error=EINVAL:when=1+2", RINGBACK, &serve),
        1,
    );
    assert_eq!(exchange(connect(program.addresses[0]), b"slower"), b"slower");
    let lines = &program.lines;
    let notes: Vec<_> = lines.iter().filter(|line| line.starts_with("note: ")).collect();
    let [note] = notes.as_slice() else { panic!("not one note: {lines:#?}") };
    assert!(note.contains("this kernel refuses DEFER_TASKRUN"), "{note}");
    assert!(lines.iter().any(|line| line.ends_with(", driver uring")), "{lines:#?}");
}

#[test]
fn any_refusal_of_a_ring_ends_in_a_working_server_and_a_helpful_line() {
    for (answer, named) in ANSWERS {
        let arguments = ["serve", "127.0.0.1:0", "--workers", "2"];
        assert_falls_back(refused(answer, &arguments), &["io_uring_setup: ", named, "; to fix it"]);
    }
}

/// Other servers took what there was between the first look and the start.
#[test]
fn what_is_refused_after_it_was_found_working_ends_in_a_working_server_too() {
    for (answer, named) in ANSWERS {
        // One each for the first look, both rings of full size, and the look at the start.
        let serve = ["serve", "127.0.0.1:0", "--workers", "2"];
        let late = injected("io_uring_setup", &format!("error={answer}:when=4+"), RINGBACK, &serve);
        assert_falls_back(late, &[named, "; to fix it"]);
    }
}

/// A ring that no address space holds, where the small one of the first look does.
#[test]
fn workers_that_get_no_ring_are_replaced_behind_the_same_listeners() {
    let mut config = Config::new(vec![SocketAddr::from(([127, 0, 0, 1], 0))]);
    config.cpus.truncate(1);
    config.memory = usize::MAX >> 1;
    config.ring = RingSize { buffers: 1 << 15, buffer_size: u32::MAX, ..RingSize::default() };
    config.driver = DriverKind::Uring;
    let refusal = Server::start(&config).expect_err("who insists is told").to_string();
    assert!(refusal.contains("worker 0 on CPU"), "{refusal}");

    config.may_fall_back = true;
    let server = Server::start(&config).expect("epoll needs no ring");
    let [Notice::Warning(warning)] = server.notices() else { panic!("{:?}", server.notices()) };
    assert!(warning.starts_with("the epoll driver serves, since io_uring cannot"), "{warning}");
    assert!(warning.contains("receive buffers: "), "{warning}");
    assert!(server.description().ends_with(", driver epoll"), "{}", server.description());
    assert_eq!(exchange(connect(server.local_addresses()[0]), b"still"), b"still");
    server.stop().expect("no worker fails");
}

#[test]
fn who_insists_on_io_uring_is_told_the_same() {
    for driver in RINGS {
        for (answer, named) in ANSWERS {
            let command = refused(answer, &["serve", "127.0.0.1:0", "--driver", driver]);
            assert_unavailable(driver, command, &["io_uring_setup: ", named, "; to fix it"]);
        }
    }
}

#[test]
fn a_seccomp_filter_is_recognised_whatever_it_answers_and_to_which_call() {
    for (answer, call) in [
        ("EPERM", Call::Setup),
        ("ENOSYS", Call::Setup),
        ("EACCES", Call::Setup),
        ("EPERM", Call::Enter),
        ("EPERM", Call::Register),
    ] {
        let named = ["the seccomp filter of the container or service", "docker run --security-opt"];
        let serve = ["serve", "127.0.0.1:0", "--workers", "1"];
        assert_falls_back(filtered(answer, call, &serve), &named);
        for driver in RINGS {
            let insist = [&serve[..], &["--driver", driver]].concat();
            let command = filtered(answer, call, &insist);
            if (driver, call) == ("tokio-uring", Call::Register) {
                assert_serves(driver, command);
            } else {
                assert_unavailable(driver, command, &named);
            }
        }
    }
}

#[test]
fn epoll_asks_nobody_for_a_ring() {
    let arguments = ["serve", "127.0.0.1:0", "--driver", "epoll"];
    let program = Program::spawn(&mut filtered("EPERM", Call::Setup, &arguments), 1);
    assert!(!program.lines.iter().any(|line| line.contains("io_uring")), "{:?}", program.lines);
    assert_eq!(exchange(connect(program.addresses[0]), b"still here"), b"still here");
}

/// Kernels that charge nothing for a ring, those from 5.12 to 6.13, serve with little as well.
#[test]
fn memory_that_may_not_be_locked_names_the_limit_that_is_too_low() {
    let serve = ["serve", "127.0.0.1:0", "--workers", "2"];
    let program = Program::spawn(&mut with_memlock(0, &serve), 1);
    if program.lines.iter().any(|line| line.ends_with(", driver uring")) {
        return;
    }
    drop(program);
    // The first has no room for the least ring, the second for one of two rings of full size.
    for kib in [0, 300] {
        let limit = format!("RLIMIT_MEMLOCK is {kib} KiB");
        assert_falls_back(with_memlock(kib, &serve), &[&limit, "ulimit -l unlimited"]);
    }
    for driver in RINGS {
        let insist = [&serve[..], &["--driver", driver]].concat();
        assert_unavailable(driver, with_memlock(0, &insist), &["RLIMIT_MEMLOCK is 0 KiB"]);
        // Room for the first look and not for a worker.
        let output = with_memlock(128, &insist).output().expect("the program starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(69), "{text}");
        assert!(text.contains("RLIMIT_MEMLOCK is 128 KiB"), "{text}");
    }
}

#[test]
fn memory_that_a_limit_of_the_process_refuses_names_that_limit() {
    // Less than a ring takes, and enough for everything else.
    let limited = |arguments: &[&str]| {
        let mut command = Command::new("prlimit");
        command.arg(format!("--data={0}:{0}", 16 << 20));
        command.arg(env!("CARGO_BIN_EXE_ringback")).args(arguments);
        command
    };
    let serve = ["serve", "127.0.0.1:0", "--workers", "1"];
    assert_falls_back(limited(&serve), &["RLIMIT_DATA is 16384 KiB", "ulimit -d unlimited"]);
    let output = limited(&[&serve[..], &["--driver", "uring"]].concat()).output();
    let output = output.expect("prlimit runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{text}");
    assert!(text.contains("RLIMIT_DATA is 16384 KiB") && !text.contains("MEMLOCK"), "{text}");
}

#[test]
fn descriptors_that_do_not_go_for_a_worker_name_the_limit_whatever_the_driver() {
    for driver in DriverKind::ALL {
        let output = Command::new("prlimit")
            .args(["--nofile=8:8", env!("CARGO_BIN_EXE_ringback"), "serve", "127.0.0.1:0"])
            .args(["--workers", "1", "--driver", driver.name()])
            .output()
            .expect("prlimit runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(69), "{text}");
        assert!(text.contains("ulimit -n"), "{driver}: {text}");
    }
}
