//! The life of a client as a list of operations, and the checker that leads it.

use super::client_oracle::{ClientOracle, Heard};
use super::model::recut;
use super::wire::{ECHO, HEADER, PING, frame};
use crate::protocol::{ErrorCode, FramedClient, Reply, Request};

/// Events of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientScript {
    /// Room for unanswered requests.
    pub max_in_flight: usize,
    /// Bytes the server sends. Those that no operation receives never arrive.
    pub stream: Vec<u8>,
    /// Events, in order.
    pub ops: Vec<ClientOp>,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientOp {
    /// The client asks: kind, sequence, payload.
    Request(Request, u64, Vec<u8>),
    /// The next bytes of the stream arrive in one piece: this many, or what is left.
    Receive(usize),
    /// The server's FIN arrives; what is left of the stream never does.
    Eof,
}

impl ClientScript {
    /// The script with everything that arrives between two other operations cut into pieces of this
    /// length.
    pub fn recut(&self, piece: usize) -> Self {
        let received = |op: &ClientOp| match op {
            ClientOp::Receive(length) => Some(*length),
            _ => None,
        };
        let ops = recut(&self.ops, self.stream.len(), piece, received, ClientOp::Receive);
        Self { ops, ..self.clone() }
    }
}

/// Runs a script as it is and byte by byte.
///
/// # Panics
///
/// As [`check_cut`].
pub fn check_any_cut(script: &ClientScript) -> Vec<Heard> {
    check_cut(script, 1)
}

/// Runs a script as it is and cut into pieces of this length.
///
/// # Panics
///
/// As [`check`], and when the two come out differently.
pub fn check_cut(script: &ClientScript, piece: usize) -> Vec<Heard> {
    let heard = check(script);
    assert_eq!(heard, check(&script.recut(piece)), "what is heard depends on the cuts ({piece})");
    heard
}

/// Runs a script and returns what the client heard.
///
/// # Panics
///
/// When the client differs from the oracle.
pub fn check(script: &ClientScript) -> Vec<Heard> {
    let mut client = FramedClient::new(script.max_in_flight);
    let mut oracle = ClientOracle::new(script.max_in_flight);
    let mut rest = &script.stream[..];
    let mut all = Vec::new();
    for op in &script.ops {
        let (heard, expected) = match op {
            ClientOp::Request(request, sequence, payload) => {
                check_request(&mut client, &mut oracle, *request, *sequence, payload);
                continue;
            }
            ClientOp::Receive(length) => {
                let (piece, later) = rest.split_at(rest.len().min(*length));
                rest = later;
                (receive(&mut client, piece), oracle.receive(piece))
            }
            ClientOp::Eof => {
                rest = &[];
                (client.handle_eof().err().map(Heard::Broken).into_iter().collect(), oracle.end())
            }
        };
        assert_eq!(heard, expected, "after {op:?}");
        assert_eq!(client.in_flight(), oracle.in_flight(), "in flight after {op:?}");
        all.extend(heard);
    }
    all
}

fn check_request(
    client: &mut FramedClient,
    oracle: &mut ClientOracle,
    request: Request,
    sequence: u64,
    payload: &[u8],
) {
    let kind = match request {
        Request::Echo => ECHO,
        Request::Ping => PING,
    };
    let made = client.request(request, sequence, payload).map(Vec::from);
    let expected = oracle
        .request(request, sequence, payload)
        .map(|()| frame(kind, sequence, payload)[..HEADER].to_vec());
    assert_eq!(made, expected, "{request:?} {sequence} of {} bytes", payload.len());
}

fn receive(client: &mut FramedClient, piece: &[u8]) -> Vec<Heard> {
    let mut rest = piece;
    let mut heard = Vec::new();
    while !rest.is_empty() {
        match client.handle_input(rest) {
            Ok(0) => {
                let reply = client.poll_reply().expect("only a reply holds the input back");
                heard.push(hear(reply));
            }
            Ok(consumed) => {
                assert!(consumed <= rest.len(), "{consumed} of {}", rest.len());
                rest = &rest[consumed..];
            }
            Err(error) => {
                heard.push(Heard::Broken(error));
                // The rest must be ignored, so it is offered all the same.
                assert_eq!(client.handle_input(rest), Ok(rest.len()));
                rest = &[];
            }
        }
    }
    if let Some(reply) = client.poll_reply() {
        heard.push(hear(reply));
        assert_eq!(client.poll_reply(), None, "one input completes at most one reply");
    }
    heard
}

fn hear(reply: Reply) -> Heard {
    match reply {
        Reply::Echo { sequence } => Heard::Echo(sequence),
        Reply::Pong { sequence } => Heard::Pong(sequence),
        Reply::GoAway { last_sequence } => Heard::GoAway(last_sequence),
        Reply::Error(error) => {
            let number = error.number();
            let known = (1..=9).contains(&number);
            assert_eq!(error.code().map(ErrorCode::to_wire), known.then_some(number));
            Heard::Error(error.sequence, number, error.text())
        }
    }
}
