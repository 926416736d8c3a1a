//! Pictures of any data are well-formed, every coordinate a number inside the picture, and nothing
//! cut off.

use hdrhistogram::Histogram;
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::load_curve::{self, Aim, Bound, LoadCurve, LoadPoint, PointResult};
use super::super::over_time;
use super::super::paper::HEADING;
use super::super::percentiles::{self, Point, Series};
use super::super::span::Span;
use super::super::timeline::{Interval, Stall, Step, Timeline};
use super::*;

fn odd_latency() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![
        Just(None),
        Just(Some(0)),
        Just(Some(1)),
        Just(Some(u64::MAX)),
        (0_u64..10_000_000_000).prop_map(Some),
    ]
}

fn odd_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(f64::MAX),
        Just(f64::MIN_POSITIVE),
        any::<f64>(),
        0.5..2.0_f64,
        0.0..1e6_f64,
    ]
}

fn odd_text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("a<b> & \"c\" ]]> \0\u{1b}\u{ffff}".to_owned()),
        Just("a-long-name-of-a-run".repeat(20)),
        "\\PC{0,60}",
        any::<String>(),
    ]
}

fn percentiles() -> impl Strategy<Value = Vec<Chart>> {
    let of_samples = (odd_text(), vec(0_u64..60_000_000_000, 0..50)).prop_map(|(name, samples)| {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        samples.into_iter().for_each(|ns| histogram.saturating_record(ns));
        Series::of(name, &histogram)
    });
    let point = (odd_number(), any::<u64>(), any::<bool>());
    let point =
        point.prop_map(|(quantile, latency_ns, is_firm)| Point { quantile, latency_ns, is_firm });
    let of_points = (odd_text(), vec(point, 0..8)).prop_map(|(name, points)| Series {
        name,
        moments: "",
        points,
    });
    vec(prop_oneof![of_samples, of_points], 0..9)
        .prop_map(|series| vec![percentiles::chart(&series)])
}

fn span() -> impl Strategy<Value = Span> {
    let moment = || prop_oneof![0_u64..100_000_000_000, any::<u64>()];
    (moment(), moment()).prop_map(|(start_ns, end_ns)| Span { start_ns, end_ns })
}

fn timeline() -> impl Strategy<Value = Vec<Chart>> {
    let interval = (span(), vec(odd_latency(), 3)).prop_map(|(span, ns)| Interval {
        span,
        p50_ns: ns[0],
        p99_ns: ns[1],
        max_ns: ns[2],
    });
    let step =
        (span(), odd_number()).prop_map(|(span, messages_per_s)| Step { span, messages_per_s });
    let stall = (span(), any::<u64>()).prop_map(|(span, longest_ns)| Stall { span, longest_ns });
    let name = (odd_text(), 0_usize..9);
    let offered = proptest::option::of(odd_number());
    let run = (name, offered, vec(interval, 0..70), vec(step, 0..70), vec(stall, 0..4));
    let run = run.prop_map(|((name, number), offered_per_s, intervals, steps, stalls)| Timeline {
        name,
        number,
        offered_per_s,
        intervals,
        steps,
        stalls,
    });
    vec(run, 0..4).prop_map(|runs| over_time::charts(&runs))
}

fn load_curve() -> impl Strategy<Value = Vec<Chart>> {
    let result = proptest::sample::select(PointResult::ALL.to_vec());
    let point = (odd_number(), vec(odd_latency(), 0..3), result);
    let point = point.prop_map(|(achieved_per_s, latencies_ns, result)| LoadPoint {
        achieved_per_s,
        latencies_ns,
        result,
    });
    let aim = (0_usize..15, 0_usize..3);
    let aim = aim.prop_map(|(point, percentile)| Aim {
        point,
        words: "knee at",
        rate_per_s: 1_000,
        percentile,
    });
    let bound = (odd_text(), any::<u64>(), any::<bool>());
    let bound =
        bound.prop_map(|(name, latency_ns, is_asserted)| Bound { name, latency_ns, is_asserted });
    let aim = proptest::option::of(aim);
    let curve = (odd_text(), vec(odd_text(), 0..3), vec(point, 0..12), aim, vec(bound, 0..3));
    let curve = curve.prop_map(|(name, percentiles, points, aim, bounds)| LoadCurve {
        name,
        percentiles,
        points,
        aim,
        bounds,
    });
    vec(curve, 0..4).prop_map(|curves| vec![load_curve::chart(&curves)])
}

fn figure() -> impl Strategy<Value = Figure> {
    let charts = prop_oneof![percentiles(), timeline(), load_curve()];
    let charts = vec(charts, 0..4).prop_map(|charts| charts.into_iter().flatten().collect());
    let date = proptest::option::of(odd_text());
    (odd_text(), date, vec(odd_text(), 0..5), vec(odd_text(), 0..2), charts).prop_map(
        |(title, date, facts, warnings, charts)| Figure { title, date, facts, warnings, charts },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_data_gives_a_well_formed_picture_with_everything_inside(figure in figure()) {
        let svg = figure.svg();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let root = document.root_element();
        let size = |name| root.attribute(name).unwrap().parse::<f64>().unwrap();
        let (width, height) = (size("width"), size("height"));
        for element in root.descendants().filter(roxmltree::Node::is_element) {
            for attribute in element.attributes() {
                let (name, value) = (attribute.name(), attribute.value());
                match name {
                    "x" | "x1" | "x2" | "cx" | "width" => assert_within(value, width),
                    "y" | "y1" | "y2" | "cy" | "height" => assert_within(value, height),
                    "points" | "d" => value.split([' ', 'M', 'L', 'Z']).for_each(|place| {
                        let Some((x, y)) = place.split_once(',') else { return };
                        assert_within(x, width);
                        assert_within(y, height);
                    }),
                    _ => {}
                }
            }
            if element.has_tag_name(("http://www.w3.org/2000/svg", "text")) {
                assert_text_is_inside(&element, width);
            }
        }
    }
}

fn assert_within(coordinate: &str, end: f64) {
    let place: f64 = coordinate.parse().unwrap();
    assert!((0.0..=end).contains(&place), "{coordinate} is not in 0 to {end}");
}

fn assert_text_is_inside(element: &roxmltree::Node<'_, '_>, picture_width: f64) {
    let text = element.text().unwrap_or_default();
    let font_px = match element.attribute("class").unwrap_or_default() {
        "title" => TITLE,
        "heading" => HEADING,
        _ => FONT,
    };
    let x: f64 = element.attribute("x").unwrap().parse().unwrap();
    let width = words::width(text, font_px);
    let left = match element.attribute("text-anchor") {
        None => x,
        Some("middle") => x - width / 2.0,
        Some(_) => x - width,
    };
    assert!(left >= 0.0 && left + width <= picture_width, "{text:?} from {left}, {width} wide");
}

fn samples(values: impl Iterator<Item = u64>) -> Histogram<u64> {
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).unwrap();
    values.for_each(|ns| histogram.record(ns).unwrap());
    histogram
}

#[test]
fn a_picture_carries_its_meaning_as_text() {
    let series = Series::of("service", &samples(1..=100_000));
    let figure = Figure {
        title: "Echo".to_owned(),
        facts: vec!["closed loop".to_owned()],
        warnings: vec!["INVALID: 3 messages were lost".to_owned()],
        charts: vec![percentiles::chart(&[series])],
        ..Figure::default()
    };
    let svg = figure.svg();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let root = document.root_element();
    let child = |name: &str| {
        let found = root.children().find(|child| child.tag_name().name() == name);
        found.and_then(|child| child.text()).unwrap().to_owned()
    };
    assert_eq!(root.attribute("role"), Some("img"));
    assert_eq!(child("title"), "Echo");
    assert_eq!(
        child("desc"),
        "closed loop. INVALID: 3 messages were lost. Latency by percentile: service: p50 50.0 µs, \
         p75 75.0 µs, p90 90.0 µs, p95 95.0 µs, p99 99.0 µs, p99.9 99.9 µs, p99.99 100 µs, max \
         100 µs"
    );
}

#[test]
fn what_ten_samples_do_not_support_is_dashed() {
    let histogram = samples((1..=1_000).map(|us| us * 1_000));
    let series = Series::of("service", &histogram);
    let last_firm = series.points.iter().rfind(|point| point.is_firm).unwrap();
    assert!((last_firm.quantile - 0.99).abs() < 1e-9, "{last_firm:?}");
    let last = series.points.last().unwrap();
    assert_eq!((last.latency_ns, last.is_firm), (histogram.max(), false));
    let charts = vec![percentiles::chart(&[series])];
    let svg = Figure { charts, ..Figure::default() }.svg();
    assert!(svg.contains("line unsure c0") && svg.contains("fewer than ten samples beyond"));
}

#[test]
fn a_picture_refers_to_nothing_outside() {
    let svg = Figure { title: "https://example.com".to_owned(), ..Figure::default() }.svg();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let outside = ["href", "src", "onload", "script", "image", "use"];
    for element in document.descendants().filter(roxmltree::Node::is_element) {
        assert!(!outside.contains(&element.tag_name().name()));
        assert!(element.attributes().all(|attribute| !outside.contains(&attribute.name())));
    }
    assert!(!svg.contains("url(") && !svg.contains("@import") && !svg.contains("@font-face"));
}
