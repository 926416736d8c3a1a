//! When the messages of an open loop are meant to be sent.
//!
//! The times are fixed before the run and do not depend on what the server does: that is what
//! makes the loop open. A schedule knows no clock; times are nanoseconds since the run started.

use crate::load::config::part::Part;
use crate::load::config::{Arrival, Config};
use crate::load::random::SplitMix64;

/// The intended times of one thread's messages.
///
/// The run's messages form one sequence, which is dealt to the connections in turn; a thread's
/// schedule holds the times of its own connections' messages. So the threads' schedules interlock:
/// together they are the same sequence, however many they are. Of a run that several generators
/// make those of all their threads do, where messages are evenly spread. Where chance spreads them
/// each generator has a sequence of its own, at its share of the rate: independent processes add up
/// to one of the sum of their rates, and nobody walks over the others' messages.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    sequence: Sequence,
    all_connections: u64,
    threads: u64,
    /// The first place of this thread in a round over all connections.
    thread: u64,
    place: u64,
}

impl Schedule {
    /// The schedule of thread number `thread` of this generator's `threads`. It deals messages to the
    /// connections that were asked for, as other parts do: a run that lacks some is not valid.
    pub(crate) fn of(
        config: &Config,
        (rate, arrival): (u64, Arrival),
        thread: usize,
        threads: usize,
    ) -> Self {
        let (part, connections) = (config.share(), config.connections);
        match arrival {
            // As if the threads of all parts were one generator's.
            Arrival::Uniform => {
                let thread = part.number_in_run(thread);
                Self::new(Sequence::uniform(rate), connections, thread, threads * part.of)
            }
            Arrival::Poisson => {
                let (rate, seed) = (config.own_rate(rate), seed_of(config.seed, part));
                let sequence = Sequence::poisson(rate, seed);
                Self::new(sequence, config.own_connections(), thread, threads)
            }
        }
    }

    /// The schedule of thread number `thread` of `threads`, where connection `i` of
    /// `all_connections` belongs to thread `i % threads`.
    fn new(sequence: Sequence, all_connections: usize, thread: usize, threads: usize) -> Self {
        debug_assert!(thread < threads.min(all_connections), "a thread has a connection");
        let mut schedule = Self {
            sequence,
            all_connections: all_connections as u64,
            threads: threads as u64,
            thread: thread as u64,
            place: thread as u64,
        };
        schedule.sequence.skip(schedule.place);
        schedule
    }

    pub(crate) fn next_ns(&self) -> u64 {
        self.sequence.next_ns()
    }

    pub(crate) fn advance(&mut self) {
        let before = self.place;
        self.place += self.threads;
        let mut steps = self.threads;
        if self.place >= self.all_connections {
            self.place = self.thread;
            steps = self.all_connections - before + self.thread;
        }
        self.sequence.skip(steps);
    }

    /// Goes on to the first message at or after this time; returns how many it passed over.
    ///
    /// Even messages are passed over in whole rounds, so an hour of them takes no time. Of those
    /// that chance spreads, a million are passed over one by one; of more, each of which takes some
    /// 15 ns for every thread, the expected number is told.
    pub(crate) fn skip_until(&mut self, time_ns: u64) -> u64 {
        let mut skipped = 0;
        if let Sequence::Uniform(uniform) = &mut self.sequence {
            let rounds = uniform.count_until(time_ns) / self.all_connections;
            uniform.number += rounds * self.all_connections;
            skipped = rounds * (self.all_connections - self.thread).div_ceil(self.threads);
        }
        let most = skipped.saturating_add(MAX_STEPS);
        while self.next_ns() < time_ns && skipped < most {
            self.advance();
            skipped += 1;
        }
        skipped + self.jump_to(time_ns)
    }

    /// Goes on to this time at once; says how many messages are expected before it.
    fn jump_to(&mut self, time_ns: u64) -> u64 {
        let Sequence::Poisson(poisson) = &mut self.sequence else { return 0 };
        let of_all = poisson.jump_to(time_ns);
        let own = (self.all_connections - self.thread).div_ceil(self.threads);
        (of_all * own as f64 / self.all_connections as f64).round() as u64
    }
}

/// Messages that are passed over one by one, at most.
const MAX_STEPS: u64 = 1_000_000;

/// The seed of a part; that of the run for the first one.
fn seed_of(run: u64, part: Part) -> u64 {
    match part.index {
        0 => run,
        // Mixed, or part 1 of a run would be part 0 of the run with the next seed.
        index => SplitMix64::new(SplitMix64::new(run).next() ^ index as u64).next(),
    }
}

/// The intended times of all messages of a run, or where chance spreads them of a part, in their order.
///
/// A value of its own, the same in every thread: each walks all of it and keeps its own part. That
/// costs nothing where the messages are evenly spread, and some 15 ns for each message of another
/// thread where they are not.
#[derive(Debug, Clone)]
pub(crate) enum Sequence {
    Uniform(Uniform),
    Poisson(Poisson),
}

impl Sequence {
    /// `rate` messages a second.
    fn uniform(rate: u64) -> Self {
        Self::Uniform(Uniform { rate, number: 0 })
    }

    /// `rate` messages a second on average. The seed decides when.
    fn poisson(rate: f64, seed: u64) -> Self {
        Self::Poisson(Poisson::new(rate, seed))
    }

    fn next_ns(&self) -> u64 {
        match self {
            Self::Uniform(uniform) => uniform.next_ns(),
            Self::Poisson(poisson) => poisson.next_ns(),
        }
    }

    fn skip(&mut self, messages: u64) {
        match self {
            Self::Uniform(uniform) => uniform.number += messages,
            Self::Poisson(poisson) => (0..messages).for_each(|_| poisson.advance()),
        }
    }
}

const NS_PER_S: u64 = 1_000_000_000;

/// Evenly spread, the first at the very beginning.
#[derive(Debug, Clone)]
pub(crate) struct Uniform {
    rate: u64,
    number: u64,
}

impl Uniform {
    /// Exact, rounded down, however long the run: seconds and fraction are computed apart, and
    /// neither product exceeds 64 bits with rates up to 18 G/s.
    fn next_ns(&self) -> u64 {
        let (seconds, rest) = (self.number / self.rate, self.number % self.rate);
        seconds * NS_PER_S + rest * NS_PER_S / self.rate
    }

    /// How many messages come before this time, the next one included.
    fn count_until(&self, time_ns: u64) -> u64 {
        let first_after = (u128::from(time_ns) * u128::from(self.rate)).div_ceil(NS_PER_S.into());
        (first_after as u64).saturating_sub(self.number)
    }
}

/// As if sent by many who know nothing of each other: the times between messages are independent
/// and exponentially distributed.
#[derive(Debug, Clone)]
pub(crate) struct Poisson {
    random: SplitMix64,
    mean_interval: f64,
    /// In parts of a nanosecond, as are intervals.
    next: u64,
}

/// Parts of a nanosecond: 64 bits of them are 208 days, and rounding an interval to the nearest
/// does not shift the rate.
const PARTS: u64 = 1024;

impl Poisson {
    fn new(rate: f64, seed: u64) -> Self {
        /// The bytes that are sent come from the same seed, and must not tell the times.
        const STREAM: u64 = 0x7363_6865_6475_6c65;
        let mean_interval = 1e9 * PARTS as f64 / rate;
        let mut poisson = Self { random: SplitMix64::new(seed ^ STREAM), mean_interval, next: 0 };
        poisson.advance();
        poisson
    }

    fn next_ns(&self) -> u64 {
        self.next / PARTS
    }

    /// Goes on to a time, if it is later; says how many messages are expected until then. From
    /// there on nothing is different: the process has no memory.
    fn jump_to(&mut self, time_ns: u64) -> f64 {
        let skipped = time_ns.saturating_mul(PARTS).saturating_sub(self.next);
        self.next += skipped;
        skipped as f64 / self.mean_interval
    }

    fn advance(&mut self) {
        let interval = (self.random.next_exponential() * self.mean_interval).round() as u64;
        self.next = self.next.saturating_add(interval);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::load::config::Target;

    const DAY_NS: u64 = 24 * 3600 * 1_000_000_000;

    fn times(mut schedule: Schedule, end_ns: u64) -> Vec<u64> {
        let mut times = Vec::new();
        while schedule.next_ns() < end_ns {
            times.push(schedule.next_ns());
            schedule.advance();
        }
        times
    }

    /// All threads' times, in order.
    fn together(sequence: &Sequence, connections: usize, threads: usize, end_ns: u64) -> Vec<u64> {
        let mut all: Vec<u64> = (0..threads)
            .flat_map(|thread| {
                times(Schedule::new(sequence.clone(), connections, thread, threads), end_ns)
            })
            .collect();
        all.sort_unstable();
        all
    }

    fn sequence_of(arrival: Arrival, rate: u64, seed: u64) -> Sequence {
        match arrival {
            Arrival::Uniform => Sequence::uniform(rate),
            Arrival::Poisson => poisson(rate, seed),
        }
    }

    fn poisson(rate: u64, seed: u64) -> Sequence {
        Sequence::poisson(rate as f64, seed)
    }

    fn config(connections: usize, part: Option<Part>) -> Config {
        let target = Target::at(([127, 0, 0, 1], 7).into());
        Config::new(target).with(|config| (config.connections, config.part) = (connections, part))
    }

    /// The times of one part's threads, in order.
    fn of_part(load: (u64, Arrival), connections: usize, part: Part, end_ns: u64) -> Vec<u64> {
        /// As many as there may be, or several.
        const THREADS: usize = 3;
        let config = config(connections, Some(part));
        let threads = THREADS.min(config.own_connections());
        let of_thread = |thread| times(Schedule::of(&config, load, thread, threads), end_ns);
        let mut all: Vec<u64> = (0..threads).flat_map(of_thread).collect();
        all.sort_unstable();
        all
    }

    fn parts(of: usize) -> impl Iterator<Item = Part> {
        (0..of).map(move |index| Part { index, of })
    }

    fn arrivals() -> impl Strategy<Value = Arrival> {
        prop_oneof![Just(Arrival::Uniform), Just(Arrival::Poisson)]
    }

    proptest! {
        #[test]
        fn threads_together_are_the_same_as_one(
            arrival in arrivals(),
            rate in 1_u64..2_000_000,
            seed: u64,
            connections in 1_usize..100,
            threads in 1_usize..8,
        ) {
            let sequence = sequence_of(arrival, rate, seed);
            let end_ns = 1_000_000_000.min(1_000_000_000_000 / rate);
            let all = together(&sequence, connections, threads.min(connections), end_ns);
            prop_assert_eq!(&all, &together(&sequence, 1, 1, end_ns));
            let other = sequence_of(arrival, rate, seed ^ 1);
            let has_chance = arrival == Arrival::Poisson && !all.is_empty();
            prop_assert!(!has_chance || all != together(&other, 1, 1, end_ns), "the seed decides");
        }

        #[test]
        fn parts_together_are_exactly_the_one_schedule(
            rate in 1_u64..2_000_000,
            connections in 1_usize..100,
            of in 1_usize..12,
        ) {
            let of = of.min(connections);
            let end_ns = 1_000_000_000.min(1_000_000_000_000 / rate);
            let load = (rate, Arrival::Uniform);
            let of_part = |part| of_part(load, connections, part, end_ns);
            let mut all: Vec<u64> = parts(of).flat_map(of_part).collect();
            all.sort_unstable();
            prop_assert_eq!(all, together(&Sequence::uniform(rate), 1, 1, end_ns));
        }

        #[test]
        fn a_connection_has_the_times_that_it_has_in_a_run_of_one_generator(
            connections in 1_usize..30,
            of in 1_usize..6,
        ) {
            let of = of.min(connections);
            let load = (1000, Arrival::Uniform);
            let all = together(&Sequence::uniform(1000), 1, 1, 300_000_000);
            for part in parts(of) {
                let of_this_part = all
                    .iter()
                    .enumerate()
                    .filter(|(number, _)| number % connections % of == part.index)
                    .map(|(_, time)| *time);
                prop_assert!(of_this_part.eq(of_part(load, connections, part, 300_000_000)));
            }
        }

        #[test]
        fn connections_are_served_in_turn(
            arrival in arrivals(),
            connections in 1_usize..20,
            threads in 1_usize..8,
        ) {
            // What a thread sends in its own turn is what the sequence deals to that connection.
            let threads = threads.min(connections);
            let sequence = sequence_of(arrival, 1000, 5);
            let all = together(&sequence, 1, 1, 200_000_000);
            for thread in 0..threads {
                let own = Schedule::new(sequence.clone(), connections, thread, threads);
                let of_this_thread = all
                    .iter()
                    .enumerate()
                    .filter(|(number, _)| number % connections % threads == thread)
                    .map(|(_, time)| *time);
                prop_assert!(of_this_thread.eq(times(own, 200_000_000)));
            }
        }

        #[test]
        fn what_is_skipped_is_what_would_have_come(
            arrival in arrivals(),
            rate in 1_u64..100_000,
            connections in 1_usize..20,
            threads in 1_usize..8,
            from in 0_u64..50,
            until_ns in 0_u64..10_000_000,
        ) {
            let threads = threads.min(connections);
            let mut stepping =
                Schedule::new(sequence_of(arrival, rate, 7), connections, threads - 1, threads);
            (0..from).for_each(|_| stepping.advance());
            let mut skipping = stepping.clone();
            let mut steps = 0;
            while stepping.next_ns() < until_ns {
                stepping.advance();
                steps += 1;
            }
            prop_assert_eq!(skipping.skip_until(until_ns), steps);
            for _ in 0..connections {
                prop_assert_eq!(skipping.next_ns(), stepping.next_ns());
                skipping.advance();
                stepping.advance();
            }
        }

        #[test]
        fn uniform_times_are_exact_over_100_days(rate in 1_u64..=1_000_000_000, day in 0_u64..100) {
            let number = rate * 24 * 3600 * day + rate / 3;
            let exact = u128::from(number) * 1_000_000_000 / u128::from(rate);
            let uniform = Uniform { rate, number };
            prop_assert_eq!(u128::from(uniform.next_ns()), exact);
            // The number of messages in whole seconds is the rate times them, to the message.
            let first_of_second = Uniform { rate, number: rate * 24 * 3600 * day };
            prop_assert_eq!(first_of_second.next_ns(), DAY_NS * day);
        }
    }

    #[test]
    fn a_poisson_process_that_nobody_can_step_over_is_skipped_at_once() {
        // At 1 G/s an hour has 3.6 T messages, of which thread 1 of 2 has two of five connections.
        let mut schedule = Schedule::new(poisson(1_000_000_000, 3), 5, 1, 2);
        let hour_ns = 3600 * NS_PER_S;
        let skipped = schedule.skip_until(hour_ns);
        let expected = 3.6e12 * 2.0 / 5.0;
        assert!((skipped as f64 / expected - 1.0).abs() < 1e-5, "{skipped}");
        assert!((hour_ns..hour_ns + 1000).contains(&schedule.next_ns()));
        assert_eq!(schedule.skip_until(hour_ns), 0);
    }

    #[test]
    fn a_poisson_process_has_its_rate_in_every_stretch() {
        // Counts in stretches of 10 ms: their mean is the rate, their variance too.
        const STRETCHES: usize = 2000;
        const PER_STRETCH: f64 = 50.0;
        let mut counts = [0_u32; STRETCHES];
        for time_ns in times(Schedule::new(poisson(5000, 11), 1, 0, 1), 20_000_000_000) {
            counts[(time_ns / 10_000_000) as usize] += 1;
        }
        let mean = counts.iter().map(|count| f64::from(*count)).sum::<f64>() / STRETCHES as f64;
        let variance = counts.iter().map(|count| (f64::from(*count) - mean).powi(2)).sum::<f64>()
            / (STRETCHES - 1) as f64;
        // Five standard errors: sqrt(50 / 2000), and 50 * sqrt(2 / 2000).
        assert!((mean - PER_STRETCH).abs() < 0.79, "{mean}");
        assert!((variance - PER_STRETCH).abs() < 7.9, "{variance}");
        // The last stretch is as full as others: the schedule does not end early.
        assert!((20..90).contains(&counts[STRETCHES - 1]), "{}", counts[STRETCHES - 1]);
    }

    #[test]
    fn poisson_parts_have_their_shares_of_the_rate_and_chances_of_their_own() {
        // Of seven connections three, two and two.
        let load = (7000, Arrival::Poisson);
        let all: Vec<Vec<u64>> =
            parts(3).map(|part| of_part(load, 7, part, 20_000_000_000)).collect();
        for (times, expected) in all.iter().zip([60_000.0, 40_000.0, 40_000.0_f64]) {
            // Five standard deviations.
            let difference = (times.len() as f64 - expected).abs();
            assert!(difference < 5.0 * expected.sqrt(), "{} for {expected}", times.len());
        }
        let same = all[1].iter().filter(|time| all[2].binary_search(time).is_ok()).count();
        // 40,000 times of 20 G in the one, as many in the other: 0.08 in common are expected.
        assert!(same < 5, "{same} times are the same");
    }

    #[test]
    fn poisson_intervals_are_exponential() {
        let times = times(Schedule::new(poisson(1_000_000, 8), 1, 0, 1), 100_000_000);
        let intervals: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        for multiple in [0.1, 0.5, 1.0, 2.0, 5.0] {
            let above = intervals.iter().filter(|ns| **ns as f64 > multiple * 1000.0).count();
            let share = above as f64 / intervals.len() as f64;
            let expected = (-multiple).exp();
            // Five standard errors of a share of 100,000, and a nanosecond of rounding.
            let error = 5.0 * (expected * (1.0 - expected) / 1e5).sqrt() + 0.001;
            assert!((share - expected).abs() < error, "{multiple}: {share} for {expected}");
        }
    }

    #[test]
    fn poisson_does_not_drift_late_in_a_long_run() {
        let Sequence::Poisson(mut late) = poisson(1_000_000, 4) else { unreachable!() };
        let mut early = late.clone();
        late.next += 100 * DAY_NS * PARTS;
        for _ in 0..100_000 {
            early.advance();
            late.advance();
        }
        assert_eq!(late.next_ns() - early.next_ns(), 100 * DAY_NS);
    }
}
