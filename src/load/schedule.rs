//! When the messages of an open loop are meant to be sent.
//!
//! The times are fixed before the run and do not depend on what the server does: that is what
//! makes the loop open. A schedule knows no clock; times are nanoseconds since the run began.

/// The intended times of one thread's messages.
///
/// The run's messages are spread evenly over time, `rate` a second, and dealt to the connections
/// in turn; a thread's schedule holds the times of its own connections' messages. So the threads'
/// schedules interlock and together are as even as one.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    period_ns: f64,
    all_connections: u64,
    threads: u64,
    /// The first place of this thread in a round over all connections.
    thread: u64,
    /// Where in the run's order the current round begins, and this thread's place in the round.
    round: u64,
    place: u64,
}

impl Schedule {
    /// The schedule of thread number `thread` of `threads`, where connection `i` of
    /// `all_connections` belongs to thread `i % threads`.
    pub(super) fn uniform(
        rate: u64,
        all_connections: usize,
        thread: usize,
        threads: usize,
    ) -> Self {
        debug_assert!(thread < threads && threads <= all_connections, "a thread has a connection");
        Self {
            period_ns: 1e9 / rate as f64,
            all_connections: all_connections as u64,
            threads: threads as u64,
            thread: thread as u64,
            round: 0,
            place: thread as u64,
        }
    }

    /// The time of the next message.
    pub(super) fn next_ns(&self) -> u64 {
        // Exact to far below a nanosecond for any run that ends: 2^53 ns are 104 days.
        ((self.round + self.place) as f64 * self.period_ns) as u64
    }

    /// Goes on to the message after it.
    pub(super) fn advance(&mut self) {
        self.place += self.threads;
        if self.place >= self.all_connections {
            self.place = self.thread;
            self.round += self.all_connections;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times(mut schedule: Schedule, end_ns: u64) -> Vec<u64> {
        let mut times = Vec::new();
        while schedule.next_ns() < end_ns {
            times.push(schedule.next_ns());
            schedule.advance();
        }
        times
    }

    proptest! {
        #[test]
        fn threads_together_are_as_even_as_one(
            rate in 1_u64..2_000_000,
            connections in 1_usize..100,
            threads in 1_usize..8,
        ) {
            let threads = threads.min(connections);
            let end_ns = 1_000_000_000.min(3_000_000_000_000 / rate);
            let mut together: Vec<u64> = (0..threads)
                .flat_map(|thread| times(Schedule::uniform(rate, connections, thread, threads), end_ns))
                .collect();
            together.sort_unstable();
            prop_assert_eq!(together, times(Schedule::uniform(rate, 1, 0, 1), end_ns));
        }
    }

    #[test]
    fn the_rate_is_met_over_an_hour() {
        let mut schedule = Schedule::uniform(300_000, 1, 0, 1);
        schedule.round = 300_000 * 3600;
        assert_eq!(schedule.next_ns(), 3_600_000_000_000);
    }
}
