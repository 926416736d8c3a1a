//! The client core against `vectors/framed-client.txt`, with every input cut in several ways.

use std::collections::VecDeque;

use ringback::protocol::{FramedClient, Reply, ReplyError, Request, RequestError};

use crate::vectors::{Case, bytes, cases};

#[test]
fn the_client_understands_as_written() {
    let cases = cases(include_str!("../vectors/framed-client.txt"));
    assert_eq!(cases.len(), 45, "every case of the table is found");
    for mut case in cases {
        let in_flight = case.setting("in_flight").unwrap_or(64) as usize;
        for piece in [usize::MAX, 1, 2, 7, 19, 20, 21] {
            eprintln!("case {}, cut into pieces of {piece}", case.name);
            Conversation::new(in_flight).follow(&case, piece);
        }
    }
}

struct Conversation {
    client: FramedClient,
    /// Result of the last request, as the table writes it.
    made: Option<String>,
    /// Replies that the client understood and no step has expected yet.
    understood: VecDeque<String>,
}

impl Conversation {
    fn new(in_flight: usize) -> Self {
        let client = FramedClient::new(in_flight);
        Self { client, made: None, understood: VecDeque::new() }
    }

    fn follow(&mut self, case: &Case<'_>, piece: usize) {
        for (mark, rest) in &case.steps {
            match *mark {
                "=" => assert_eq!(self.understood.pop_front().as_deref(), Some(*rest)),
                ">" => assert_eq!(self.made.take(), Some(hex(&bytes(rest)))),
                "!" => assert_eq!(self.made.take().as_deref(), Some(*rest)),
                _ => {
                    self.expect_nothing_more();
                    self.input(mark, rest, piece);
                }
            }
        }
        self.expect_nothing_more();
    }

    fn input(&mut self, mark: &str, rest: &str, piece: usize) {
        match (mark, rest) {
            ("?", request) => self.made = Some(self.request(request)),
            ("<", "fin") => self.understood.extend(self.client.handle_eof().err().map(complaint)),
            ("<", hex) => bytes(hex).chunks(piece).for_each(|piece| self.receive(piece)),
            step => panic!("unknown step {step:?}"),
        }
    }

    fn request(&mut self, words: &str) -> String {
        let mut words = words.split(' ');
        let request = match words.next() {
            Some("echo") => Request::Echo,
            Some("ping") => Request::Ping,
            other => panic!("unknown request {other:?}"),
        };
        let sequence = words.next().and_then(|word| word.parse().ok()).expect("a sequence");
        let payload = bytes(words.next().unwrap_or_default());
        match self.client.request(request, sequence, &payload) {
            Ok(header) => hex(&[&header[..], &payload].concat()),
            Err(RequestError::InFlightLimit(_)) => "in-flight-limit".to_owned(),
            Err(RequestError::PayloadTooLong { limit, .. }) => format!("too-long {limit}"),
            Err(other) => panic!("{other}"),
        }
    }

    fn receive(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while !rest.is_empty() {
            match self.client.handle_input(rest) {
                Ok(consumed) => rest = &rest[consumed..],
                Err(error) => {
                    self.understood.push_back(complaint(error));
                    rest = &[];
                }
            }
            self.understood.extend(self.client.poll_reply().map(words));
        }
    }

    fn expect_nothing_more(&self) {
        assert_eq!(self.made, None, "a request nobody expected");
        assert!(self.understood.is_empty(), "unexpected: {:?}", self.understood);
    }
}

fn words(reply: Reply) -> String {
    match reply {
        Reply::Echo { sequence } => format!("echo {sequence}"),
        Reply::Pong { sequence } => format!("pong {sequence}"),
        Reply::GoAway { last_sequence } => format!("goaway {last_sequence}"),
        Reply::Error(error) => {
            format!("error {} {} {}", error.sequence, error.number(), error.text())
                .trim_end()
                .to_owned()
        }
    }
}

fn complaint(error: ReplyError) -> String {
    match error {
        ReplyError::Malformed(error) => {
            format!("malformed {} {}", error.code.to_wire(), error.sequence)
        }
        ReplyError::Unasked { sequence } => format!("unasked {sequence}"),
        ReplyError::OutOfOrder { expected, got } => format!("out-of-order {expected} {got}"),
        ReplyError::Altered { sequence } => format!("altered {sequence}"),
        ReplyError::Ended { unanswered } => format!("ended {unanswered}"),
        other => panic!("{other}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
