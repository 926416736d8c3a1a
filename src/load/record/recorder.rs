//! Histograms and counters of one thread, added up when the run is over.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::failure::{Failure, Failures};
use super::latencies::Latencies;
use crate::load::clock::nanos;
use crate::load::config::Config;
use crate::load::record::ending::Ending;
use crate::load::record::transport::Transport;

/// The measured part of a run, in nanoseconds since the run started.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Window {
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
}

impl Window {
    /// The window of a run: after the warm-up, for as long as it is to be measured.
    pub(crate) fn of(config: &Config) -> Self {
        let start_ns = nanos(config.warmup);
        Self { start_ns, end_ns: start_ns.saturating_add(nanos(config.duration)) }
    }

    pub(crate) fn length_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }

    /// The ends of so many equal parts of it.
    pub(crate) fn parts(self, parts: u64) -> impl Iterator<Item = u64> {
        let length_ns = self.length_ns();
        (1..=parts).map(move |part| {
            self.start_ns + length_ns / parts * part + length_ns % parts * part / parts
        })
    }

    fn contains(&self, time_ns: u64) -> bool {
        (self.start_ns..self.end_ns).contains(&time_ns)
    }
}

/// Messages that were due before the measured window and not answered before it. Their latencies
/// are not among those of the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CarriedOver {
    /// How many of them were answered, in the window or after it.
    pub messages: u64,
    /// The longest time from the intended send to the reply, or to the end of the drain, of any.
    pub max_ns: u64,
    /// Connections that waited all through the window: for a reply, or to be replaced.
    pub silent_connections: u64,
}

impl AddAssign for CarriedOver {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.max_ns = self.max_ns.max(other.max_ns);
        self.silent_connections += other.silent_connections;
    }
}

/// Counters of the whole run, warm-up and drain included.
///
/// `intended == sent + unsent` and `sent == received + lost`; `corrupted` is part of `received`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// Messages that were to be sent.
    pub intended: u64,
    /// Intended, but never sent: the connection had no room until the run was over.
    pub unsent: u64,
    /// Messages of which at least a part was given to the kernel.
    pub sent: u64,
    /// Complete replies.
    pub received: u64,
    /// Sent, but not answered within the drain or before the connection ended.
    pub lost: u64,
    /// Replies that were not what was sent.
    pub corrupted: u64,
    /// Connections that could not be made.
    pub connect_errors: u64,
    /// Connections that were made.
    pub connections: u64,
    /// Bytes that the kernel took, headers included.
    pub bytes_sent: u64,
    /// Bytes that came back, headers included.
    pub bytes_received: u64,
}

impl Totals {
    /// The sums as far as there are numbers: counts in a log from elsewhere may be any.
    pub(crate) fn saturating_add(self, other: Self) -> Self {
        Self {
            intended: self.intended.saturating_add(other.intended),
            unsent: self.unsent.saturating_add(other.unsent),
            sent: self.sent.saturating_add(other.sent),
            received: self.received.saturating_add(other.received),
            lost: self.lost.saturating_add(other.lost),
            corrupted: self.corrupted.saturating_add(other.corrupted),
            connect_errors: self.connect_errors.saturating_add(other.connect_errors),
            connections: self.connections.saturating_add(other.connections),
            bytes_sent: self.bytes_sent.saturating_add(other.bytes_sent),
            bytes_received: self.bytes_received.saturating_add(other.bytes_received),
        }
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        *self = self.saturating_add(other);
    }
}

/// When a message in flight was meant to be sent, and when it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    /// In closed loop the same as `sent_ns`.
    pub(crate) intended_ns: u64,
    pub(crate) sent_ns: u64,
    pub(crate) bytes: u32,
    /// True if the connection had no room when it was due: the server's delay, not ours.
    pub(crate) waited_for_room: bool,
}

/// Everything that one thread, or after merging the whole run, measured.
#[derive(Default)]
pub(crate) struct Recorder {
    window: Window,
    is_open_loop: bool,
    pub(crate) totals: Totals,
    pub(crate) window_intended: u64,
    /// Of those, the ones answered, whenever the reply came.
    pub(crate) window_received: u64,
    /// Of those, the ones answered after the window.
    pub(crate) late: u64,
    /// Payload bytes of the replies that came in the window.
    pub(crate) answered_bytes: u64,
    /// Messages intended before the window and answered in it.
    pub(crate) early: u64,
    pub(crate) carried_over: CarriedOver,
    /// The longest handshake of those that began before the window and ended in it, after it or
    /// never; as messages are, they are counted where they begin.
    pub(crate) carried_connect_ns: u64,
    /// Likewise of connections that were closed.
    pub(crate) carried_close_ns: u64,
    /// Open loop: messages of the window that found no room when they were due.
    pub(crate) waited_for_room: u64,
    /// The shortest time from an intended send to its reply, of the whole run: what a message takes
    /// that finds no queue.
    pub(crate) fastest_ns: u64,
    /// Time in the window in which the thread had nothing to do.
    pub(crate) idle_ns: u64,
    /// Latencies that were not handed over to the collector; after merging all.
    pub(crate) latencies: Box<Latencies>,
    pub(crate) transport: Transport,
    pub(crate) endings: BTreeMap<Ending, u64>,
    pub(crate) connect_failures: Failures,
}

impl Recorder {
    pub(crate) fn new(window: Window, is_open_loop: bool) -> Self {
        Self { window, is_open_loop, fastest_ns: u64::MAX, ..Self::default() }
    }

    /// The window ends earlier than was planned.
    pub(crate) fn end_window_at(&mut self, end_ns: u64) {
        self.window.end_ns = end_ns;
    }

    pub(crate) fn intend(&mut self, intended_ns: u64, messages: usize) {
        self.totals.intended += messages as u64;
        if self.window.contains(intended_ns) {
            self.window_intended += messages as u64;
        }
    }

    /// The rest of a schedule will not be sent. It is asked to go on to a time, and says how
    /// many messages were due before.
    pub(crate) fn never_send(&mut self, mut skip_until: impl FnMut(u64) -> u64) {
        let before_window = skip_until(self.window.start_ns);
        let in_window = skip_until(self.window.end_ns);
        self.window_intended += in_window;
        self.totals.intended += before_window + in_window;
        self.totals.unsent += before_window + in_window;
    }

    pub(crate) fn receive(&mut self, sent: Sent, received_ns: u64) {
        self.totals.received += 1;
        self.fastest_ns = self.fastest_ns.min(received_ns.saturating_sub(sent.intended_ns));
        let is_answered_in_window = self.window.contains(received_ns);
        if is_answered_in_window {
            self.answered_bytes += u64::from(sent.bytes);
        }
        if !self.window.contains(sent.intended_ns) {
            self.early += u64::from(is_answered_in_window);
            if sent.intended_ns < self.window.start_ns && received_ns >= self.window.start_ns {
                self.carried_over.messages += 1;
                self.carry_over(sent.intended_ns, received_ns);
            }
            return;
        }
        self.window_received += 1;
        self.late += u64::from(!is_answered_in_window);
        self.waited_for_room += u64::from(sent.waited_for_room);
        let latencies = &mut *self.latencies;
        latencies.service.saturating_record(received_ns.saturating_sub(sent.sent_ns));
        if self.is_open_loop {
            let response_ns = received_ns.saturating_sub(sent.intended_ns);
            let lag_ns = sent.sent_ns.saturating_sub(sent.intended_ns);
            latencies.response.saturating_record(response_ns);
            latencies.send_lag.saturating_record(lag_ns);
            let own_lag_ns = if sent.waited_for_room { 0 } else { lag_ns };
            latencies.without_lag.saturating_record(response_ns.saturating_sub(own_lag_ns));
        }
    }

    /// A connection is answered for the first time since some time, or will not be: it has waited
    /// since a time, and the answer before that came at another.
    pub(crate) fn break_silence(
        &mut self,
        since_ns: u64,
        last_answer_ns: Option<u64>,
        now_ns: u64,
    ) {
        /// Without a warm-up connections get their first messages in the window, in turn: who waits
        /// since the first tenth of it is counted.
        const FIRST_PARTS: u64 = 10;
        let Window { start_ns, end_ns } = self.window;
        let had_none = last_answer_ns.is_none_or(|ns| ns < start_ns) && now_ns >= end_ns;
        if had_none && since_ns <= start_ns + self.window.length_ns() / FIRST_PARTS {
            self.carried_over.silent_connections += 1;
            if since_ns < start_ns {
                self.carry_over(since_ns, now_ns);
            }
        }
    }

    fn carry_over(&mut self, intended_ns: u64, now_ns: u64) {
        let took_ns = now_ns.saturating_sub(intended_ns);
        self.carried_over.max_ns = self.carried_over.max_ns.max(took_ns);
    }

    pub(crate) fn is_of_window(&self, began_ns: u64) -> bool {
        self.window.contains(began_ns)
    }

    pub(crate) fn answered_in_window(&self) -> u64 {
        self.window_received - self.late + self.early
    }

    pub(crate) fn idle(&mut self, from_ns: u64, to_ns: u64) {
        let from_ns = from_ns.max(self.window.start_ns);
        self.idle_ns += to_ns.min(self.window.end_ns).saturating_sub(from_ns);
    }

    pub(crate) fn end(&mut self, ending: Ending) {
        *self.endings.entry(ending).or_default() += 1;
    }

    /// A connection was made that replaces another.
    pub(crate) fn connect(&mut self, since_ns: u64, established_ns: u64) {
        self.totals.connections += 1;
        self.wait_to_connect(since_ns, established_ns);
        if self.window.contains(since_ns) {
            let took_ns = established_ns.saturating_sub(since_ns);
            self.latencies.connect.saturating_record(took_ns);
        }
    }

    /// A handshake ended, be it that it failed.
    pub(crate) fn wait_to_connect(&mut self, since_ns: u64, ended_ns: u64) {
        let waited_ns = self.carried_ns(since_ns, ended_ns);
        self.carried_connect_ns = self.carried_connect_ns.max(waited_ns);
    }

    /// A connection that carried its share is closed from both sides.
    pub(crate) fn close(&mut self, since_ns: u64, closed_ns: u64) {
        self.carried_close_ns = self.carried_close_ns.max(self.carried_ns(since_ns, closed_ns));
        if self.window.contains(since_ns) {
            self.latencies.close.saturating_record(closed_ns.saturating_sub(since_ns));
        }
    }

    /// The time that something took, if it began before the window and did not end before it.
    fn carried_ns(&self, since_ns: u64, ended_ns: u64) -> u64 {
        let is_carried = since_ns < self.window.start_ns && ended_ns >= self.window.start_ns;
        if is_carried { ended_ns.saturating_sub(since_ns) } else { 0 }
    }

    pub(crate) fn fail_to_connect(&mut self, failure: Failure, attempts: u64) {
        self.totals.connect_errors += attempts;
        *self.connect_failures.entry(failure).or_default() += attempts;
    }

    /// Adds what another thread measured in the same window.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.totals += other.totals;
        self.window_intended += other.window_intended;
        self.window_received += other.window_received;
        self.answered_bytes += other.answered_bytes;
        self.late += other.late;
        self.early += other.early;
        self.carried_over += other.carried_over;
        self.carried_connect_ns = self.carried_connect_ns.max(other.carried_connect_ns);
        self.carried_close_ns = self.carried_close_ns.max(other.carried_close_ns);
        self.waited_for_room += other.waited_for_room;
        self.fastest_ns = self.fastest_ns.min(other.fastest_ns);
        self.idle_ns += other.idle_ns;
        self.transport += other.transport;
        self.latencies.add(&other.latencies);
        for (ending, count) in &other.endings {
            *self.endings.entry(*ending).or_default() += count;
        }
        for (failure, count) in &other.connect_failures {
            *self.connect_failures.entry(*failure).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handshakes_and_closes_are_counted_where_they_begin() {
        let counted = |since_ns, ended_ns| {
            let mut recorder = Recorder::new(Window { start_ns: 100, end_ns: 200 }, false);
            recorder.connect(since_ns, ended_ns);
            recorder.close(since_ns, ended_ns);
            let mut all = Recorder::new(Window::default(), false);
            all.merge(&recorder);
            let [connects, closes] =
                [&all.latencies.connect, &all.latencies.close].map(|h| h.len());
            assert_eq!((connects, all.carried_connect_ns), (closes, all.carried_close_ns));
            (connects, all.carried_connect_ns)
        };
        assert_eq!(counted(50, 99), (0, 0));
        assert_eq!(counted(50, 130), (0, 80), "it ended in the window");
        assert_eq!(counted(50, 210), (0, 160));
        assert_eq!(counted(150, 210), (1, 0));
        assert_eq!(counted(200, 210), (0, 0));
    }

    #[test]
    fn who_waits_all_through_the_window_is_silent() {
        let silent = |since_ns, last_answer_ns, now_ns| {
            let mut recorder = Recorder::new(Window { start_ns: 100, end_ns: 200 }, false);
            recorder.break_silence(since_ns, last_answer_ns, now_ns);
            (recorder.carried_over.silent_connections, recorder.carried_over.max_ns)
        };
        assert_eq!(silent(90, Some(80), 210), (1, 120));
        assert_eq!(silent(90, None, 200), (1, 110));
        assert_eq!(silent(103, None, 210), (1, 0), "it was first due in the window");
        for (since_ns, last_answer_ns, now_ns) in
            [(90, Some(80), 199), (90, Some(100), 210), (111, None, 210)]
        {
            assert_eq!(silent(since_ns, last_answer_ns, now_ns), (0, 0), "{since_ns}");
        }
    }
}
