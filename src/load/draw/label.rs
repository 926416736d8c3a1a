//! Values on axes, as short as they are exact, with their units.

use crate::load::format;

/// A latency at a tick: `500 ns`, `20 µs`, `1.5 ms`, `10 s`.
pub(super) fn latency(ns: f64) -> String {
    const UNITS: [(&str, f64); 4] = [("s", 1e9), ("ms", 1e6), ("µs", 1e3), ("ns", 1.0)];
    let (unit, ns_each) =
        UNITS.into_iter().find(|(_, each)| ns >= *each * 0.9999).unwrap_or(("ns", 1.0));
    format!("{} {unit}", grouped(ns / ns_each))
}

/// A rate at a tick: `500/s`, `20 k/s`, `1.5 M/s`.
pub(super) fn rate(per_s: f64) -> String {
    const UNITS: [(&str, f64); 3] = [(" G/s", 1e9), (" M/s", 1e6), (" k/s", 1e3)];
    let unit = UNITS.into_iter().find(|(_, each)| per_s >= *each * 0.9999);
    let (unit, each) = unit.unwrap_or(("/s", 1.0));
    grouped(per_s / each) + unit
}

/// A measured rate, to three digits: `172,629` is `173 k/s`.
pub(super) fn measured_rate(per_s: f64) -> String {
    let digits = per_s.max(1.0).log10().floor() as i32 - 2;
    let step = 10_f64.powi(digits.max(-2));
    rate((per_s / step).round() * step)
}

pub(super) fn measured_latency(ns: u64) -> String {
    format::nanos(ns)
}

/// A time since the beginning, at a tick that lies a multiple of `step_s` from it.
pub(super) fn time(s: f64, step_s: f64) -> String {
    let (each, unit) = match step_s {
        step if step >= 86_400.0 => (86_400.0, "d"),
        step if step >= 3_600.0 => (3_600.0, "h"),
        step if step >= 60.0 => (60.0, "min"),
        _ => (1.0, "s"),
    };
    format!("{} {unit}", grouped(s / each))
}

/// The percentile beyond which one in `10^nines` lies: `0 %`, `90 %`, `99.99 %`.
pub(super) fn nines(nines: usize) -> String {
    match nines {
        0 => "0 %".to_owned(),
        1 => "90 %".to_owned(),
        2 => "99 %".to_owned(),
        more => format!("99.{} %", "9".repeat(more - 2)),
    }
}

/// A number that has few digits, apart from what computing it added.
fn exact(number: f64) -> String {
    let text = format!("{number:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn grouped(number: f64) -> String {
    if number < 1000.0 { exact(number) } else { format::count(number.round() as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_unit_that_suits_them_and_no_more_digits_than_they_need() {
        let latencies = [
            (0.0, "0 ns"),
            (0.5, "0.5 ns"),
            (500.0, "500 ns"),
            (999.999_999, "1 µs"),
            (20_000.0, "20 µs"),
            (1_500_000.0, "1.5 ms"),
            (1e10, "10 s"),
            (5e12, "5,000 s"),
        ];
        latencies.into_iter().for_each(|(ns, text)| assert_eq!(latency(ns), text));
        let rates = [(0.0, "0/s"), (500.0, "500/s"), (20e3, "20 k/s"), (1.5e6, "1.5 M/s")];
        rates.into_iter().for_each(|(per_s, text)| assert_eq!(rate(per_s), text));
        let measured = [(172_629.0, "173 k/s"), (0.123, "0.12/s"), (1_726_290.0, "1.73 M/s")];
        measured.into_iter().for_each(|(per_s, text)| assert_eq!(measured_rate(per_s), text));
        let times = [
            (30.0, 10.0, "30 s"),
            (0.5, 0.5, "0.5 s"),
            (1800.0, 300.0, "30 min"),
            (7200.0, 3600.0, "2 h"),
            (172_800.0, 86_400.0, "2 d"),
        ];
        times.into_iter().for_each(|(s, step_s, text)| assert_eq!(time(s, step_s), text));
        assert_eq!([0, 1, 2, 5].map(nines), ["0 %", "90 %", "99 %", "99.999 %"]);
    }
}
