//! Pictures of any data are well-formed, every coordinate a number inside the picture, and nothing
//! cut off.

use hdrhistogram::Histogram;
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::load_curve::{LoadPoint, LoadSweep, Mark};
use super::super::percentiles::{PercentilePoint, PercentileSeries};
use super::super::span::Span;
use super::super::timeline::{Interval, Stall, Step, TimelineRun};
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

fn percentiles() -> impl Strategy<Value = Panel> {
    let of_samples = (odd_text(), vec(0_u64..60_000_000_000, 0..50)).prop_map(|(name, samples)| {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        samples.into_iter().for_each(|ns| histogram.saturating_record(ns));
        PercentileSeries::of(name, &histogram)
    });
    let point =
        (odd_number(), any::<u64>(), any::<bool>()).prop_map(|(quantile, latency_ns, is_firm)| {
            PercentilePoint { quantile, latency_ns, is_firm }
        });
    let of_points =
        (odd_text(), vec(point, 0..8)).prop_map(|(name, points)| PercentileSeries { name, points });
    vec(prop_oneof![of_samples, of_points], 0..9)
        .prop_map(|series| Panel::Percentiles(PercentileCurve { series }))
}

fn span() -> impl Strategy<Value = Span> {
    let moment = || prop_oneof![0_u64..100_000_000_000, any::<u64>()];
    (moment(), moment()).prop_map(|(start_ns, end_ns)| Span { start_ns, end_ns })
}

fn timeline() -> impl Strategy<Value = Panel> {
    let interval = (span(), vec(odd_latency(), 3)).prop_map(|(span, ns)| Interval {
        span,
        p50_ns: ns[0],
        p99_ns: ns[1],
        max_ns: ns[2],
    });
    let step =
        (span(), odd_number()).prop_map(|(span, messages_per_s)| Step { span, messages_per_s });
    let stall = (span(), any::<u64>()).prop_map(|(span, longest_ns)| Stall { span, longest_ns });
    let run = (odd_text(), vec(interval, 0..70), vec(step, 0..70), vec(stall, 0..4));
    let run = run.prop_map(|(name, intervals, steps, stalls)| TimelineRun {
        name,
        intervals,
        steps,
        stalls,
    });
    vec(run, 0..4).prop_map(|runs| Panel::Timeline(Timeline { runs }))
}

fn load_curve() -> impl Strategy<Value = Panel> {
    let point = (odd_number(), odd_latency(), odd_latency(), any::<bool>()).prop_map(
        |(achieved_per_s, p50_ns, p99_ns, is_valid)| LoadPoint {
            achieved_per_s,
            p50_ns,
            p99_ns,
            is_valid,
        },
    );
    let sweep = (odd_text(), vec(point, 0..12), proptest::option::of(0_usize..15)).prop_map(
        |(name, points, marked)| LoadSweep {
            name,
            points,
            mark: marked.map(|point| Mark { point, name: "knee" }),
        },
    );
    vec(sweep, 0..4).prop_map(|sweeps| Panel::Load(LoadCurve { sweeps }))
}

fn figure() -> impl Strategy<Value = Figure> {
    let panel = prop_oneof![percentiles(), timeline(), load_curve()];
    (odd_text(), vec(odd_text(), 0..5), vec(odd_text(), 0..2), vec(panel, 0..4))
        .prop_map(|(title, facts, warnings, panels)| Figure { title, facts, warnings, panels })
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
                    "points" => value.split(' ').for_each(|place| {
                        let (x, y) = place.split_once(',').unwrap();
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
        "title" => 19.0,
        "heading" => 15.0,
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

#[test]
fn a_picture_carries_its_meaning_as_text() {
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).unwrap();
    (1..=100_000).for_each(|ns| histogram.record(ns).unwrap());
    let figure = Figure {
        title: "Echo".to_owned(),
        facts: vec!["closed loop".to_owned()],
        warnings: vec!["INVALID: 3 messages were lost".to_owned()],
        panels: vec![Panel::Percentiles(PercentileCurve {
            series: vec![PercentileSeries::of("service", &histogram)],
        })],
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
         p90 90.0 µs, p99 99.0 µs, p99.9 99.9 µs, p99.99 100 µs"
    );
}

#[test]
fn what_ten_samples_do_not_support_is_dashed() {
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).unwrap();
    (1..=1_000).for_each(|us| histogram.record(us * 1_000).unwrap());
    let series = PercentileSeries::of("service", &histogram);
    let firm = |point: &&PercentilePoint| point.is_firm;
    let last_firm = series.points.iter().rfind(firm).unwrap();
    assert!((last_firm.quantile - 0.99).abs() < 1e-9, "{last_firm:?}");
    let last = series.points.last().unwrap();
    assert_eq!((last.latency_ns, last.is_firm), (histogram.max(), false));
    let svg = Figure {
        title: String::new(),
        facts: Vec::new(),
        warnings: Vec::new(),
        panels: vec![Panel::Percentiles(PercentileCurve { series: vec![series] })],
    }
    .svg();
    assert!(svg.contains("line unsure c0") && svg.contains("fewer than ten samples beyond"));
}

#[test]
fn a_picture_refers_to_nothing_outside() {
    let svg = Figure {
        title: "https://example.com".to_owned(),
        facts: Vec::new(),
        warnings: Vec::new(),
        panels: Vec::new(),
    }
    .svg();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let outside = ["href", "src", "onload", "script", "image", "use"];
    for element in document.descendants().filter(roxmltree::Node::is_element) {
        assert!(!outside.contains(&element.tag_name().name()));
        assert!(element.attributes().all(|attribute| !outside.contains(&attribute.name())));
    }
    assert!(!svg.contains("url(") && !svg.contains("@import") && !svg.contains("@font-face"));
}
