//! The histograms of a stretch of a run: of one thread for a second, or of everything.

use hdrhistogram::Histogram;

/// Bounds of histograms: 1 ns to 60 s at three significant digits. Longer is recorded
/// as 60 s.
const LONGEST_NS: u64 = 60_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// Latencies in nanoseconds.
#[derive(Debug)]
pub struct Latencies {
    /// From the actual send to the reply.
    pub service: Histogram<u64>,
    /// Open loop: from the intended send to the reply.
    pub response: Histogram<u64>,
    /// Open loop: from the intended send to the actual one.
    pub send_lag: Histogram<u64>,
    /// Open loop: what the response would be had the generator never been late. It is late where a
    /// slot was free; waiting for room is the server's doing.
    pub(crate) without_lag: Histogram<u64>,
    /// The machine's own stalls.
    pub hiccup: Histogram<u64>,
    /// Of connections that replaced others: from the SYN until it is known to be taken.
    pub connect: Histogram<u64>,
    /// Of connections that were replaced: from the generator's FIN to the server's.
    pub close: Histogram<u64>,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            service: histogram(),
            response: histogram(),
            send_lag: histogram(),
            without_lag: histogram(),
            hiccup: histogram(),
            connect: histogram(),
            close: histogram(),
        }
    }
}

impl Latencies {
    pub(crate) fn is_empty(&self) -> bool {
        let Self { service, response, send_lag, without_lag, hiccup, connect, close } = self;
        [service, response, send_lag, without_lag, hiccup, connect, close]
            .into_iter()
            .all(Histogram::is_empty)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (own, others) in [
            (&mut self.service, &other.service),
            (&mut self.response, &other.response),
            (&mut self.send_lag, &other.send_lag),
            (&mut self.without_lag, &other.without_lag),
            (&mut self.hiccup, &other.hiccup),
            (&mut self.connect, &other.connect),
            (&mut self.close, &other.close),
        ] {
            // Adding touches every counter: not for nothing.
            if !others.is_empty() {
                own.add(others).expect("all histograms have the same bounds");
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        let Self { service, response, send_lag, without_lag, hiccup, connect, close } = self;
        for histogram in [service, response, send_lag, without_lag, hiccup, connect, close] {
            if !histogram.is_empty() {
                histogram.reset();
            }
        }
    }
}

/// An empty histogram of nanoseconds.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, SIGNIFICANT_DIGITS)
        .expect("the bounds are constants that the crate allows")
}
