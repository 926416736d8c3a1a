//! The server core against `vectors/framed-server.txt`, with every input cut in several ways.

use std::time::Instant;

use ringback::protocol::{Connection, Framed, FramedConnection, Input, Output, Protocol};
use ringback::testing::wire::{ERROR, Fields, HEADER};

use crate::vectors::{Case, bytes, cases};

#[test]
fn the_server_speaks_as_written() {
    let cases = cases(include_str!("../vectors/framed-server.txt"));
    assert_eq!(cases.len(), 64, "every case of the table is found");
    for mut case in cases {
        let max_frame = case.setting("max_frame").unwrap_or(65_536);
        for piece in [usize::MAX, 1, 2, 7, 19, 20, 21] {
            eprintln!("case {}, cut into pieces of {piece}", case.name);
            Conversation::new(max_frame).follow(&case, piece);
        }
    }
}

struct Conversation {
    connection: FramedConnection,
    now: Instant,
    received: Vec<u8>,
    /// Bytes that the server sent and no step has expected yet.
    sent: Vec<u8>,
    closed: bool,
}

impl Conversation {
    fn new(max_frame: u32) -> Self {
        let framed = Framed { max_frame, ..Framed::default() };
        let now = Instant::now();
        let (received, sent) = (Vec::new(), Vec::new());
        Self { connection: framed.connection(), now, received, sent, closed: false }
    }

    fn follow(&mut self, case: &Case<'_>, piece: usize) {
        let mut may_close = false;
        for (mark, rest) in &case.steps {
            match (*mark, *rest) {
                ("<", "fin") => may_close = true,
                ("<", reply) => self.expect(reply),
                _ => {
                    self.expect_nothing_more(may_close);
                    self.input(mark, rest, piece);
                }
            }
        }
        self.expect_nothing_more(may_close);
    }

    fn input(&mut self, mark: &str, rest: &str, piece: usize) {
        match (mark, rest) {
            (">", hex) => bytes(hex).chunks(piece).for_each(|piece| self.receive(piece)),
            ("!", "eof") => self.handle(Input::Eof),
            ("!", "drain") => self.handle(Input::Drain),
            ("!", "busy") => self.handle(Input::Busy),
            ("!", "timeout") => {
                self.now += Framed::default().frame_timeout;
                self.handle(Input::Timeout);
            }
            step => panic!("unknown step {step:?}"),
        }
    }

    fn receive(&mut self, piece: &[u8]) {
        self.received.extend(piece);
        let mut rest = piece;
        while !rest.is_empty() {
            match self.connection.handle_input(self.now, Input::Data(rest)) {
                Ok(consumed) => rest = &rest[consumed..],
                Err(_) => rest = &[],
            }
            self.poll();
        }
    }

    /// An error shows in what is sent.
    fn handle(&mut self, input: Input<'_>) {
        let consumed = self.connection.handle_input(self.now, input).unwrap_or(0);
        assert_eq!(consumed, 0);
        self.poll();
    }

    fn poll(&mut self) {
        while let Some(output) = self.connection.poll_output() {
            assert!(!self.closed, "after its FIN the server wants {output:?}");
            match output {
                Output::Forward(range) => {
                    let range = range.start as usize..range.end as usize;
                    self.sent.extend_from_slice(&self.received[range]);
                }
                Output::Discard(_) => {}
                Output::Emit(bytes) => self.sent.extend_from_slice(&bytes),
                Output::Close(_) => self.closed = true,
            }
        }
    }

    fn expect(&mut self, reply: &str) {
        let length = match reply.strip_prefix("error ") {
            Some(error) => self.check_error(error),
            None => {
                let expected = bytes(reply);
                assert!(self.sent.starts_with(&expected), "not {reply} but {:02x?}", self.sent);
                expected.len()
            }
        };
        self.sent.drain(..length);
    }

    /// Checks the ERROR that begins what was sent, returns how long it is.
    fn check_error(&self, expected: &str) -> usize {
        let fields = Fields::read(&self.sent).expect("an ERROR was sent");
        let length = HEADER + fields.length as usize;
        let payload = &self.sent[HEADER..length];
        assert_eq!((fields.magic, fields.version, fields.kind), (*b"RB", 1, ERROR));
        assert_eq!(fields.checksum, fields.right_checksum(payload));
        let (code, text) = payload.split_first_chunk().expect("an ERROR begins with its code");
        let code = u16::from_be_bytes(*code);
        assert_eq!(format!("{code} {}", fields.sequence), expected);
        let text = str::from_utf8(text).expect("the text is UTF-8");
        assert!((1..=200).contains(&text.len()), "text {text:?}");
        length
    }

    fn expect_nothing_more(&self, may_close: bool) {
        assert!(self.sent.is_empty(), "unexpected: {:02x?}", self.sent);
        assert_eq!(self.closed, may_close, "the server's FIN");
    }
}
