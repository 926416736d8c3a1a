//! Reports to the driver, and their time: any order between requests, and any delay.

use std::collections::VecDeque;

use rustix::io::Errno;

use super::{Accepted, FakeKernel, Request};
use crate::sys::{Completion, Operation, Outcome, Token};
use crate::testing::simulation::mutation::Mutation;

impl FakeKernel {
    pub(super) fn carry_out_cancel(&mut self, target: Token) {
        let is_overlooked = self.rng.chance(self.hostility.fault);
        let found = !is_overlooked && self.end_operation(target);
        let result = match found {
            true => Ok(()),
            false => Err(*self.rng.pick(&[Errno::NOENT, Errno::ALREADY])),
        };
        let result = if self.planted(Mutation::HideMissedCancels) { Ok(()) } else { result };
        self.complete_request(
            Request { token: target, is_cancellation: true },
            false,
            Outcome::Cancelled(result),
        );
    }

    /// Says whether the operation was in flight.
    fn end_operation(&mut self, target: Token) -> bool {
        let cancelled = Err(Errno::CANCELED);
        if target.operation == Operation::Accept {
            let found = self.listeners[target.slot as usize].accept.take().is_some();
            if found {
                self.complete(target, false, Outcome::Accepted(Err(Errno::CANCELED)));
            }
            return found;
        }
        let Some(socket) = self.sockets.get_mut(target.slot) else { return false };
        match target.operation {
            Operation::Receive if socket.receive.is_some_and(|(token, _)| token == target) => {
                socket.receive = None;
                self.complete(target, false, Outcome::Received(Err(Errno::CANCELED)));
                true
            }
            Operation::Writable if socket.watch == Some(target) => {
                socket.watch = None;
                self.complete(target, false, Outcome::Writable(cancelled));
                true
            }
            Operation::Ready if socket.ready_watch == Some(target) => {
                socket.ready_watch = None;
                self.complete(target, false, Outcome::Ready);
                true
            }
            _ => false,
        }
    }

    pub(super) fn complete(&mut self, token: Token, more: bool, outcome: Outcome<Accepted>) {
        self.complete_request(Request { token, is_cancellation: false }, more, outcome);
    }

    fn complete_request(&mut self, request: Request, more: bool, outcome: Outcome<Accepted>) {
        let completion = Completion { token: request.token, more, outcome };
        match self.completed.iter_mut().find(|(of, _)| *of == request) {
            Some((_, queue)) => queue.push_back(completion),
            None => self.completed.push((request, VecDeque::from([completion]))),
        }
    }

    /// Lets some completions arrive.
    pub(super) fn bring(&mut self) {
        for _ in 0..self.rng.between(1, 20) {
            if self.completed.is_empty() || self.rng.chance(self.hostility.delay) {
                return;
            }
            let index = self.rng.below(self.completed.len());
            let queue = &mut self.completed[index].1;
            let mut completion = queue.pop_front().expect("no queue is kept empty");
            if queue.is_empty() {
                self.completed.swap_remove(index);
            }
            if self.lie(&mut completion) {
                self.arrived.push_back(completion);
            }
        }
    }

    /// A send that is to report its failure reports it in the submit that takes it.
    pub(super) fn bring_failed_sends(&mut self) {
        while let Some(mut completion) = self.failed.pop_front() {
            if self.lie(&mut completion) {
                self.arrived.push_back(completion);
            }
        }
    }

    /// Tells the driver what a bug of its own would have made it believe; returns whether it is
    /// told at all.
    fn lie(&self, completion: &mut Completion<Accepted>) -> bool {
        match (self.mutation, &mut completion.outcome) {
            (Some(Mutation::ForgetParkedConnections), Outcome::Received(Err(Errno::NOBUFS)))
            | (Some(Mutation::MissWritableSockets), Outcome::Writable(Ok(true))) => return false,
            (Some(Mutation::DropLateAccepts), Outcome::Accepted(Ok(_)))
                if completion.more
                    && self.listeners[completion.token.slot as usize].accept.is_none() =>
            {
                return false;
            }
            (Some(Mutation::IgnoreTheEndOfAMultishot), Outcome::Received(Ok(Some(_)))) => {
                completion.more = true;
            }
            (Some(Mutation::DropTheRestOfAShortSend), Outcome::Sent(parts, Ok(sent))) => {
                *sent = parts.len();
            }
            _ => {}
        }
        true
    }
}
