//! The server over real sockets: what goes in comes out.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use ringback::protocol::{ErrorCode, Framed, FramedClient, Raw, Reply, Request};

use super::DRIVER;
use crate::support::{connect, exchange, noise, start_server};

const FRAMED: Framed = Framed { max_frame: 64 << 10, frame_timeout: crate::support::TEST_TIMEOUT };

#[test]
fn the_textbook_client_is_answered() {
    let (_server, address) = start_server(DRIVER, Raw);
    let mut client = connect(address);
    client.write_all(b"Hello, world").expect("sent");
    let mut buffer = [0; 1024];
    let length = client.read(&mut buffer).expect("answered");
    assert_eq!(&buffer[..length], b"Hello, world");
}

#[test]
fn a_half_closed_stream_comes_back_whole() {
    let (_server, address) = start_server(DRIVER, Raw);
    for length in [0, 1, 64, 131_072, 131_073, 20_000_000] {
        let request = noise(length, 7);
        assert!(exchange(connect(address), &request) == request, "{length} bytes");
    }
}

#[test]
fn a_reader_slower_than_the_writer_gets_everything() {
    let (_server, address) = start_server(DRIVER, Raw);
    let request = noise(30_000_000, 11);
    let stream = connect(address);
    let mut reader = stream.try_clone().expect("a descriptor can be had");
    thread::scope(|scope| {
        let request = &request;
        scope.spawn(move || {
            (&stream).write_all(request).expect("sent");
            stream.shutdown(Shutdown::Write).expect("half-closed");
        });
        let (mut reply, mut buffer) = (Vec::new(), vec![0; 1 << 20]);
        loop {
            thread::sleep(Duration::from_millis(5));
            match reader.read(&mut buffer).expect("readable") {
                0 => break,
                length => reply.extend_from_slice(&buffer[..length]),
            }
        }
        assert!(reply == *request, "{} of {} bytes came back", reply.len(), request.len());
    });
}

#[test]
fn many_connections_are_kept_apart() {
    let (_server, address) = start_server(DRIVER, Raw);
    let mut clients: Vec<_> = (0..300).map(|_| connect(address)).collect();
    for round in 0..5 {
        for (index, client) in clients.iter_mut().enumerate() {
            client.write_all(&noise(1000, index as u64 * 31 + round)).expect("sent");
        }
        for (index, client) in clients.iter_mut().enumerate() {
            let mut reply = [0; 1000];
            client.read_exact(&mut reply).expect("answered");
            assert!(reply[..] == noise(1000, index as u64 * 31 + round), "client {index}");
        }
    }
}

#[test]
fn peers_that_never_read_do_not_stop_the_others() {
    let (_server, address) = start_server(DRIVER, Raw);
    let block = noise(1 << 20, 3);
    let stalled: Vec<_> = (0..200)
        .map(|_| {
            let mut client = connect(address);
            client.set_nonblocking(true).expect("an option can be set");
            while client.write(&block).is_ok() {}
            client
        })
        .collect();
    let request = noise(5_000_000, 5);
    for _ in 0..4 {
        assert!(exchange(connect(address), &request) == request);
    }
    drop(stalled);
    assert!(exchange(connect(address), &request) == request);
}

#[test]
fn resets_end_their_connection_alone() {
    let (_server, address) = start_server(DRIVER, Raw);
    let mut witness = connect(address);
    for round in 0..200 {
        let mut client = connect(address);
        client.write_all(&noise(10_000, round)).expect("sent");
        let socket = socket2::SockRef::from(&client);
        socket.set_linger(Some(Duration::ZERO)).expect("an option can be set");
    }
    witness.write_all(b"still here").expect("sent");
    let mut reply = [0; 10];
    witness.read_exact(&mut reply).expect("answered");
    assert_eq!(&reply, b"still here");
}

#[test]
fn frames_are_echoed_and_pings_answered_in_order() {
    let (_server, address) = start_server(DRIVER, FRAMED);
    let mut client = FramedClient::new(1000);
    let mut request = Vec::new();
    for sequence in 0..1000 {
        let kind = if sequence % 3 == 0 { Request::Ping } else { Request::Echo };
        let length = if kind == Request::Ping { sequence as usize % 65 } else { 4000 };
        let payload = noise(length, sequence);
        let header = client.request(kind, sequence, &payload).expect("within the limits");
        request.extend_from_slice(&header);
        request.extend_from_slice(&payload);
    }
    let reply = exchange(connect(address), &request);
    let mut rest = &reply[..];
    let mut answered = 0;
    while !rest.is_empty() {
        let taken = client.handle_input(rest).expect("every reply matches its request");
        rest = &rest[taken..];
        let expected = if answered % 3 == 0 {
            Reply::Pong { sequence: answered }
        } else {
            Reply::Echo { sequence: answered }
        };
        assert_eq!(client.poll_reply(), Some(expected));
        answered += 1;
    }
    assert_eq!((answered, client.handle_eof()), (1000, Ok(())));
}

#[test]
fn a_frame_that_arrives_byte_by_byte_is_echoed() {
    let (_server, address) = start_server(DRIVER, FRAMED);
    let mut client = FramedClient::new(1);
    let payload = noise(300, 1);
    let mut frame = client.request(Request::Echo, 42, &payload).expect("valid").to_vec();
    frame.extend_from_slice(&payload);
    let mut stream = connect(address);
    for byte in &frame {
        stream.write_all(std::slice::from_ref(byte)).expect("sent");
    }
    let mut reply = vec![0; frame.len()];
    stream.read_exact(&mut reply).expect("answered");
    assert_eq!(reply, frame);
}

#[test]
fn a_bad_frame_is_refused_after_the_good_ones() {
    let (_server, address) = start_server(DRIVER, FRAMED);
    let mut client = FramedClient::new(1);
    let mut request = client.request(Request::Echo, 1, b"good").expect("valid").to_vec();
    request.extend_from_slice(b"good");
    request.extend_from_slice(&noise(100_000, 9));
    let reply = exchange(connect(address), &request);
    let taken = client.handle_input(&reply).expect("the echo");
    assert_eq!(client.poll_reply(), Some(Reply::Echo { sequence: 1 }));
    client.handle_input(&reply[taken..]).expect("the error");
    let Some(Reply::Error(error)) = client.poll_reply() else { panic!("an ERROR ends it") };
    assert_eq!((error.code(), error.sequence), (Some(ErrorCode::BadMagic), 0));
}

#[test]
fn a_frame_that_takes_too_long_is_refused() {
    let config = Framed { frame_timeout: Duration::from_millis(50), ..Default::default() };
    let (_server, address) = start_server(DRIVER, config);
    let mut client = FramedClient::new(1);
    let header = client.request(Request::Echo, 5, b"never sent").expect("valid");
    let mut stream = connect(address);
    stream.write_all(&header).expect("sent");
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).expect("the server closes");
    client.handle_input(&reply).expect("a reply");
    let Some(Reply::Error(error)) = client.poll_reply() else { panic!("an ERROR ends it") };
    assert_eq!((error.code(), error.sequence), (Some(ErrorCode::FrameTimeout), 5));
}
