//! Servers that do not behave: it is counted and told, and the run goes on.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ringback::load::{
    Assertion, Comparison, Config, Interrupt, Load, Metric, Outcome, Phase, Protocol, RunError, run,
};
use ringback::protocol::{self, Connection, Framed, Header, Kind, Protocol as _};
use socket2::SockRef;

use crate::support::{
    assert_adds_up, assert_all_came_back, assert_invalid, echo, echo_framed, echo_messages,
    measure, of, serve, short,
};

#[test]
fn a_refused_frame_is_told_with_its_error() {
    let address = serve(|_, socket| echo_framed(socket, Framed::default()));
    let config = short(address).with(|config| {
        config.sizes = of(65_537);
        config.protocol = Protocol::Framed;
    });
    let Err(RunError::NothingReceived { why, .. }) = run(&config, &mut |_| {}) else {
        panic!("no frame of this size can pass");
    };
    assert!(why.contains("ERROR 4: frame too large") || why.contains("reset"), "{why}");
}

#[test]
fn a_stall_is_charged_to_the_response_of_all_that_it_delays() {
    const STALL: Duration = Duration::from_millis(500);
    let address = serve(|_, mut socket| {
        echo_messages(&mut socket, 100);
        thread::sleep(STALL);
        echo(socket);
    });
    let config = short(address).with(|config| {
        config.connections = 1;
        config.depth = 8;
        config.duration = Duration::from_secs(2);
        config.warmup = Duration::ZERO;
        config.load = Load::at_rate(1000);
    });
    let report = measure(&config);
    assert_all_came_back(&report);
    let response = &report.latency.response;
    // Half a second of 1000/s were due while the server stalled: a quarter of 2000.
    let stalled = response.count_between(STALL.as_nanos() as u64 / 10, u64::MAX);
    assert!((400..=900).contains(&stalled), "{stalled}");
    assert!(response.max() >= STALL.as_nanos() as u64 * 9 / 10);
    // One in a hundred waited for nearly all of it.
    let p99 = response.value_at_quantile(0.99);
    assert!(p99 >= STALL.as_nanos() as u64 * 8 / 10, "{p99}");
    // Only the eight in flight know of it by their own send.
    let served = report.latency.service.count_between(STALL.as_nanos() as u64 / 2, u64::MAX);
    assert!(served <= 8, "{served}");
}

#[test]
fn overload_is_not_valid() {
    let address = serve(|_, mut socket| {
        while echo_messages(&mut socket, 1) {
            thread::sleep(Duration::from_millis(10));
        }
    });
    let config = short(address).with(|config| {
        config.connections = 1;
        config.depth = 4;
        config.duration = Duration::from_secs(1);
        config.load = Load::at_rate(150);
    });
    assert_invalid(&measure(&config), "the rate was not reached");
}

#[test]
fn the_queue_of_the_warm_up_and_replies_of_the_drain_are_no_throughput() {
    const CAPACITY_PER_S: u32 = 200;
    let address = serve(|_, mut socket| {
        let mut next_free = Instant::now();
        let mut message = [0; 64];
        while socket.read_exact(&mut message).is_ok() {
            next_free = next_free.max(Instant::now()) + Duration::from_secs(1) / CAPACITY_PER_S;
            thread::sleep(next_free.saturating_duration_since(Instant::now()));
            if socket.write_all(&message).is_err() {
                return;
            }
        }
    });
    let config = short(address).with(|config| {
        config.connections = 1;
        config.warmup = Duration::from_secs(1);
        config.duration = Duration::from_secs(1);
        config.load = Load::at_rate(400);
    });
    let report = measure(&config);
    assert_invalid(&report, "the rate was not reached");
    assert_eq!(report.totals.received, 800, "the drain answers everything");
    let answered_per_s = report.throughput.messages_per_s;
    assert!(answered_per_s <= f64::from(CAPACITY_PER_S) * 1.01, "{answered_per_s}");
}

#[test]
fn connections_that_are_silent_all_through_the_window_are_told() {
    const SILENCE: Duration = Duration::from_secs(2);
    for (protocol, load) in [
        (Protocol::Raw, Load::Closed),
        (Protocol::Framed, Load::Closed),
        (Protocol::Raw, Load::at_rate(8)),
    ] {
        let address = serve(move |number, socket| {
            if number % 2 == 1 {
                // Until the message has come that is answered after the window.
                let mut bytes = [0; 1];
                while let Ok(0) = socket.peek(&mut bytes) {}
                thread::sleep(SILENCE);
            }
            echo(socket);
        });
        let config = short(address).with(|config| {
            config.protocol = protocol;
            config.load = load;
            // An open loop sends to each of them once before the window.
            config.connections = 4;
            config.warmup = Duration::from_millis(500);
            config.duration = Duration::from_millis(250);
            config.assertions = vec![Assertion {
                name: "max<1s".to_owned(),
                metric: Metric::Max,
                comparison: Comparison::Below,
                limit: 1_000_000_000,
            }];
        });
        let report = measure(&config);
        assert_eq!(report.carried_over.silent_connections, 2, "{:?}", report.carried_over);
        assert_invalid(&report, "2 connections had no answer in the window");
        assert!(!report.verdict.assertions[0].met, "{:?}", report.verdict);
    }
}

#[test]
fn silence_from_the_first_message_on_is_told_without_a_warm_up() {
    let address = serve(|number, socket| {
        if number % 2 == 1 {
            let mut bytes = [0; 1];
            while let Ok(0) = socket.peek(&mut bytes) {}
            thread::sleep(Duration::from_secs(1));
        }
        echo(socket);
    });
    let report = measure(&short(address).with(|config| config.warmup = Duration::ZERO));
    assert_eq!(report.carried_over.silent_connections, 2, "{:?}", report.carried_over);
    assert_invalid(&report, "2 connections had no answer in the window");
}

#[test]
fn a_wrong_byte_corrupts_one_reply() {
    let address = serve(|number, mut socket| {
        if number == 2 {
            echo_messages(&mut socket, 10);
            let mut message = [0; 64];
            socket.read_exact(&mut message).unwrap();
            message[63] ^= 0x80;
            socket.write_all(&message).unwrap();
        }
        echo(socket);
    });
    let report = measure(&short(address));
    assert_eq!((report.totals.corrupted, report.totals.lost), (1, 0));
    assert_invalid(&report, "replies were corrupted");
}

#[test]
fn swapped_replies_are_corrupted() {
    let address = serve(|number, mut socket| {
        if number == 0 {
            let (mut first, mut second) = ([0; 64], [0; 64]);
            socket.read_exact(&mut first).unwrap();
            socket.read_exact(&mut second).unwrap();
            socket.write_all(&second).unwrap();
            socket.write_all(&first).unwrap();
        }
        echo(socket);
    });
    let report = measure(&short(address).with(|config| config.depth = 2));
    assert_eq!(report.totals.corrupted, 2);
}

#[test]
fn replies_of_another_connection_are_corrupted() {
    let first: &'static Mutex<Option<Vec<u8>>> = Box::leak(Box::default());
    let address = serve(move |number, mut socket| {
        let mut message = vec![0; 64];
        socket.read_exact(&mut message).unwrap();
        if number == 0 {
            *first.lock().unwrap() = Some(message.clone());
        } else {
            while first.lock().unwrap().is_none() {
                thread::yield_now();
            }
            message.clone_from(first.lock().unwrap().as_ref().unwrap());
        }
        socket.write_all(&message).unwrap();
        echo(socket);
    });
    assert_eq!(measure(&short(address)).totals.corrupted, 3);
}

#[test]
fn an_altered_frame_ends_its_connection_only() {
    let address = serve(|number, mut socket| {
        let mut frame = [0; 84];
        for round in 0.. {
            if socket.read_exact(&mut frame).is_err() {
                return;
            }
            if number == 1 && round == 5 {
                frame[50] ^= 1;
            }
            if socket.write_all(&frame).is_err() {
                return;
            }
        }
    });
    let report = measure(&short(address).with(|config| config.protocol = Protocol::Framed));
    assert_eq!((report.totals.corrupted, report.totals.lost), (1, 0));
    assert_eq!(report.verdict.endings["bad_reply"], 1);
    assert_invalid(&report, "1 connection given up after a malformed");
}

#[test]
fn a_connection_that_closes_loses_what_is_in_flight_and_the_others_go_on() {
    let address = serve(|number, mut socket| {
        if number == 3 {
            echo_messages(&mut socket, 20);
            let mut message = [0; 64];
            socket.read_exact(&mut message).unwrap();
            return;
        }
        echo(socket);
    });
    let report = measure(&short(address));
    assert_eq!(report.totals.lost, 1);
    assert!(report.totals.received > 100);
    assert_invalid(&report, "1 connection closed by the server");
    assert_invalid(&report, "1 of ");
}

#[test]
fn what_waits_for_a_connection_that_closes_is_never_sent() {
    let address = serve(|number, mut socket| {
        if number == 0 {
            // Two in flight, the rest waits; then FIN.
            let mut message = [0; 64];
            socket.read_exact(&mut message).unwrap();
            thread::sleep(Duration::from_millis(100));
            return;
        }
        echo(socket);
    });
    let config = short(address).with(|config| {
        config.load = Load::at_rate(1000);
        config.depth = 2;
    });
    let report = measure(&config);
    assert!(report.totals.unsent > 0);
    assert_invalid(&report, "were never sent");
}

#[test]
fn when_every_connection_is_gone_the_run_ends_and_accounts_for_the_rest() {
    let address = serve(|_, mut socket| {
        echo_messages(&mut socket, 1);
    });
    let config = short(address).with(|config| {
        config.duration = Duration::from_secs(3600);
        config.load = Load::at_rate(1000);
    });
    let report = measure(&config);
    assert_eq!(report.totals.intended, 3_600_050);
    assert_invalid(&report, "no connection was left");
    let is_busy = |reason: &String| reason.contains("was busy for");
    assert!(!report.verdict.reasons.iter().any(is_busy), "{:?}", report.verdict);
}

#[test]
fn a_surplus_byte_ends_the_connection() {
    let address = serve(|_, mut socket| {
        echo_messages(&mut socket, 3);
        let mut message = vec![0; 64];
        socket.read_exact(&mut message).unwrap();
        message.push(0);
        socket.write_all(&message).unwrap();
        echo(socket);
    });
    let report = measure(&short(address));
    assert_eq!(report.totals.received, 16);
    assert_eq!(report.verdict.endings["surplus"], 4);
    assert_invalid(&report, "more came back than was sent");
}

#[test]
fn replies_are_awaited_for_as_long_as_is_asked_for() {
    let config = |timeout| {
        short(serve(|_, socket| {
            thread::sleep(Duration::from_secs(2));
            echo(socket);
        }))
        .with(|config| {
            config.duration = Duration::from_millis(100);
            config.warmup = Duration::ZERO;
            config.timeout = timeout;
        })
    };
    let report = measure(&config(Config::TIMEOUT));
    assert_eq!((report.totals.received, report.totals.lost), (4, 0));
    let Err(RunError::NothingReceived { why, .. }) =
        run(&config(Duration::from_millis(50)), &mut |_| {})
    else {
        panic!("nothing comes in time");
    };
    assert!(why.contains("4 of 4 messages sent were lost: no reply within --timeout"), "{why}");
}

#[test]
fn an_interrupt_ends_the_wait_for_the_last_replies() {
    // Replies would be awaited for an hour: whether the window is over or was cut short.
    for phase in [Phase::Draining, Phase::Measuring] {
        let address = serve(|_, mut socket| {
            echo_messages(&mut socket, 10);
            thread::sleep(Duration::from_secs(3600));
        });
        let interrupt = Interrupt::default();
        let config = short(address).with(|config| {
            config.timeout = Duration::from_secs(3600);
            config.warmup = Duration::ZERO;
            config.duration = Duration::from_secs(1);
            config.interrupt = interrupt.clone();
        });
        let report = run(&config, &mut |progress| {
            if progress.phase == phase {
                interrupt.raise();
            }
        });
        let report = report.unwrap();
        assert_adds_up(&report);
        assert!(report.verdict.interrupted);
        assert_eq!(report.verdict.outcome, Outcome::Incomplete);
        assert_eq!((report.totals.received, report.totals.lost), (40, 4));
    }
}

#[test]
fn a_truncated_reply_is_lost_after_the_drain() {
    let address = serve(|number, mut socket| {
        if number == 0 {
            echo_messages(&mut socket, 3);
            let mut message = [0; 64];
            socket.read_exact(&mut message).unwrap();
            socket.write_all(&message[..63]).unwrap();
        }
        echo(socket);
    });
    let report = measure(&short(address));
    assert_eq!((report.totals.lost, report.totals.corrupted), (1, 0));
    assert_invalid(&report, "were lost");
}

#[test]
fn goaway_is_obeyed_and_told() {
    let saw_half_close: &'static AtomicBool = Box::leak(Box::default());
    let address = serve(move |number, mut socket| {
        let config = Framed::default();
        if number > 0 {
            return echo_framed(socket, config);
        }
        let mut frame = [0; 84];
        socket.read_exact(&mut frame).unwrap();
        let mut connection = config.connection();
        connection.handle_input(Instant::now(), protocol::Input::Drain).unwrap();
        let Some(protocol::Output::Emit(goaway)) = connection.poll_output() else {
            panic!("a drain begins with GOAWAY");
        };
        socket.write_all(&goaway).unwrap();
        socket.write_all(&frame).unwrap();
        saw_half_close.store(matches!(socket.read(&mut frame), Ok(0)), Ordering::SeqCst);
        socket.shutdown(Shutdown::Both).unwrap();
    });
    let report = measure(&short(address).with(|config| config.protocol = Protocol::Framed));
    assert_eq!((report.totals.lost, report.totals.corrupted), (0, 0));
    assert_eq!(report.verdict.endings["goaway"], 1);
    assert_invalid(&report, "GOAWAY");
    assert!(saw_half_close.load(Ordering::SeqCst));
}

#[test]
fn nobody_there_is_an_error() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = run(&short(address), &mut |_| {}).unwrap_err();
    assert!(matches!(error, RunError::Connect { .. }), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[test]
fn a_server_that_says_nothing_is_an_error() {
    let address = serve(|_, _socket| {});
    let error = run(&short(address), &mut |_| {}).unwrap_err();
    assert!(matches!(error, RunError::NothingReceived { .. }), "{error}");
    assert!(!error.to_string().contains('\n'));
}

#[test]
fn resets_and_refusals_are_told_apart_and_the_others_go_on() {
    let address = serve(|number, mut socket| {
        let config = Framed::default();
        match number {
            0 => {
                let mut frame = [0; 84];
                socket.read_exact(&mut frame).unwrap();
                SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
            }
            1 => {
                let refusal = [&9_u16.to_be_bytes()[..], b"busy"].concat();
                let header = Header::new(Kind::Error, 0, &refusal).encode();
                socket.write_all(&[&header[..], &refusal].concat()).unwrap();
                echo(socket);
            }
            _ => echo_framed(socket, config),
        }
    });
    let report = measure(&short(address).with(|config| config.protocol = Protocol::Framed));
    assert_eq!((report.verdict.endings["reset"], report.verdict.endings["error_9"]), (1, 1));
    assert_invalid(&report, "1 connection reset by the server");
    assert_invalid(&report, "1 connection refused with ERROR 9");
    assert!(report.totals.received > 100);
}
