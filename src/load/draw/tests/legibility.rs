//! A picture tells what it is for at a glance: numbers beside curves, bounds and results that
//! differ, no sign with two meanings, no text over another.

use roxmltree::{Document, Node};

use super::super::paper::FONT;
use super::super::words;
use super::*;

/// Everything that is drawn, in its order: what comes later lies above.
fn elements<'a>(document: &'a Document<'a>, name: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(move |node| node.tag_name().name() == name)
}

fn classes<'a>(document: &'a Document<'a>, name: &'a str) -> Vec<&'a str> {
    elements(document, name).filter_map(|node| node.attribute("class")).collect()
}

fn number(node: &Node<'_, '_>, name: &str) -> f64 {
    node.attribute(name).unwrap().parse().unwrap()
}

/// The texts, with the baselines that they stand on.
fn texts<'a>(document: &'a Document<'a>) -> Vec<(&'a str, f64)> {
    let texts = elements(document, "text").filter(|node| node.text().is_some());
    texts.map(|node| (node.text().unwrap(), number(&node, "y"))).collect()
}

fn baseline(document: &Document<'_>, text: &str) -> f64 {
    let found = texts(document).into_iter().find(|(known, _)| *known == text);
    found.unwrap_or_else(|| panic!("{text:?} is not in {:?}", texts(document))).1
}

/// The rest of a picture from a heading on.
fn from_heading(svg: &str, heading: &str) -> String {
    let (_, rest) = svg.split_once(&format!(">{heading}</text>")).unwrap();
    format!("<svg>{rest}")
}

fn histogram(values: impl IntoIterator<Item = (u64, u64)>) -> Histogram<u64> {
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).unwrap();
    values.into_iter().for_each(|(ns, samples)| histogram.record_n(ns, samples).unwrap());
    histogram
}

/// The picture of a log of one interval.
fn figure_of(values: impl IntoIterator<Item = (u64, u64)>) -> Figure {
    let mut writer = hlog::Writer::new(Vec::new());
    let (start, duration) = (SystemTime::UNIX_EPOCH, Duration::from_secs(1));
    let values = histogram(values);
    let logged = hlog::Logged { tag: Some("service"), start, duration, values: &values };
    writer.write(&logged).unwrap();
    draw(&[("a.hlog", &read(&writer.into_inner()).unwrap())])
}

/// A log of so many seconds, the median of which is 10 µs, the p99 90 µs and the largest 1 ms.
fn seconds(count: u64, stall_ns: u64) -> Saved {
    let mut writer = hlog::Writer::new(Vec::new());
    let latencies = histogram([(10_000, 1_900), (90_000, 90), (1_000_000, 10)]);
    let stall = histogram([(stall_ns, 1)]);
    for second in 0..count {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + second);
        for (tag, values) in [("response", &latencies), ("hiccup", &stall)] {
            let duration = Duration::from_secs(1);
            writer.write(&hlog::Logged { tag: Some(tag), start, duration, values }).unwrap();
        }
    }
    read(&writer.into_inner()).unwrap()
}

#[test]
fn a_table_has_the_numbers_of_every_curve() {
    let svg = draw(&[("a.json", &read_value(&report()))]).svg();
    let document = Document::parse(&svg).unwrap();
    let on_line_of = |name: &str| {
        let line = baseline(&document, name);
        let texts = texts(&document).into_iter().filter(|(_, y)| *y == line);
        let mut cells: Vec<&str> = texts.map(|(text, _)| text).collect();
        cells.retain(|text| *text != name);
        cells
    };
    let heads = ["max", "p99.9", "p99", "p90", "p50"];
    assert_eq!(on_line_of("Latency by percentile"), heads);
    let response = ["60.0 µs", "-", "10.0 µs", "9.00 µs", "5.00 µs"];
    assert_eq!(on_line_of("response time: due → reply"), response);
    let service = ["50.0 µs", "-", "9.00 µs", "8.00 µs", "4.00 µs"];
    assert_eq!(on_line_of("service time: send → reply"), service);
}

#[test]
fn the_response_lies_above_the_service() {
    let svg = draw(&[("a.json", &read_value(&report()))]).svg();
    let document = Document::parse(&svg).unwrap();
    let lines = classes(&document, "polyline");
    let last_of = |colour| lines.iter().rposition(|class| class.ends_with(colour)).unwrap();
    assert!(last_of("c0") > last_of("c1"), "{lines:?}");
}

#[test]
fn a_colour_means_the_same_in_every_chart() {
    let series = |figure: &Figure, chart| -> Vec<usize> {
        curves(figure, chart).iter().map(|curve| curve.series).collect()
    };
    let alone = draw(&[("a.hlog", &seconds(3, 1))]);
    // The percentiles over time are the response's, and no latency has the colour of the rate.
    assert_eq!([0, 1, 2].map(|chart| series(&alone, chart)), [vec![0], vec![0; 3], vec![2]]);
    // A report has no timeline: that of the log is the second run's.
    let both = draw(&[("a.json", &read_value(&report())), ("b.hlog", &seconds(3, 1))]);
    assert_eq!([0, 1, 2].map(|chart| series(&both, chart)), [vec![1, 0], vec![1; 3], vec![1]]);
    let logs = draw(&[("a.hlog", &seconds(3, 1)), ("b.hlog", &seconds(3, 1))]);
    assert_eq!([0, 1, 2].map(|chart| series(&logs, chart)), [vec![1, 0], vec![0, 1], vec![0, 1]]);
}

#[test]
fn stalls_have_the_colour_of_their_run() {
    let dashes = |figure: &Figure| -> Vec<String> {
        let content = figure.charts[1].content.as_ref().unwrap();
        content.dashes.iter().map(|dashes| dashes.class.clone()).collect()
    };
    let [steady, stalled] = [1_000, 9_000_000].map(|stall_ns| seconds(3, stall_ns));
    assert_eq!(dashes(&draw(&[("a", &stalled)])), ["stall plain"]);
    assert_eq!(dashes(&draw(&[("a", &steady), ("b", &stalled)])), ["stall c1"]);
    assert_eq!(dashes(&draw(&[("a", &stalled), ("b", &stalled)])), ["stall c0", "stall c1"]);
}

#[test]
fn a_long_run_is_bands_between_thin_lines() {
    let of = |count| from_heading(&draw(&[("a", &seconds(count, 1))]).svg(), "Latency over time");
    let (short, long) = (of(10), of(3_000));
    let document = Document::parse(&long).unwrap();
    assert_eq!(classes(&document, "path"), ["band faint c0", "band c0", "band c2"]);
    let lines = classes(&document, "polyline");
    assert!(
        lines.iter().all(|class| class.contains(" thin ") || class.contains(" hair ")),
        "{lines:?}"
    );
    assert!(!long.contains("<circle") && short.contains("<circle"));
}

#[test]
fn what_no_interval_has_enough_messages_for_is_not_in_the_legend() {
    let figure = figure_of([(50_000, 1)]);
    let svg = from_heading(&figure.svg(), "Latency over time");
    let document = Document::parse(&svg).unwrap();
    let texts: Vec<&str> = texts(&document).into_iter().map(|(text, _)| text).collect();
    assert!(texts.contains(&"slowest") && !texts.contains(&"p99"), "{texts:?}");
    // Beside each other such runs are drawn all the same.
    let run = read(&log(&[("service", 0, &[1_000])])).unwrap();
    assert_eq!(names(&draw(&[("a", &run), ("b", &run)]), 1), ["a, slowest", "b, slowest"]);
}

#[test]
fn the_throughput_is_drawn_below_what_was_offered_and_not_along_the_edge() {
    let report: Report = serde_json::from_value(report()).unwrap();
    let mut history = History::of_messages(vec![None]);
    let values = histogram([(5_000, 19_000)]);
    let (start, duration) = (SystemTime::UNIX_EPOCH, Duration::from_secs(1));
    history.follow(&hlog::Logged { tag: None, start, duration, values: &values });
    let saved = Saved::from(&report).with_history(history, Some(20_000.0));
    let figure = draw(&[("a run", &saved)]);
    let content = figure.charts[2].content.as_ref().unwrap();
    assert_eq!(content.levels[0].row, 20_000.0);
    let share = |per_s| content.rows.scale.share(per_s);
    assert!(share(19_000.0) < share(20_000.0) && share(20_000.0) < 0.9);
    let svg = figure.svg();
    assert!(svg.contains(">offered: 20 k/s</text>") && svg.contains("class=\"level plain\""));
}

#[test]
fn a_search_shows_its_assertion_and_tells_failed_from_not_valid() {
    let svg = draw(&[("f.json", &read_value(&search("p99<20us")))]).svg();
    let document = Document::parse(&svg).unwrap();
    for text in ["p99<20us", "failed", "not valid"] {
        baseline(&document, text);
    }
    let markers = classes(&document, "polygon");
    // Of p99 and p50, and in the legend.
    assert_eq!(markers.iter().filter(|class| **class == "mark bad").count(), 3, "{markers:?}");
    // Across the chart, and in the legend.
    let levels = classes(&document, "line").into_iter().filter(|class| *class == "level bad");
    assert_eq!(levels.count(), 2);
}

#[test]
fn a_search_draws_the_percentile_that_it_asserts() {
    for (assertion, expected) in [
        ("p99.9<1ms", ["p99.9", "p50"]),
        ("max<1ms", ["max", "p50"]),
        ("p50<1ms", ["p50", "p99"]),
        ("p99<1ms", ["p99", "p50"]),
    ] {
        let figure = draw(&[("f.json", &read_value(&search(assertion)))]);
        assert_eq!(names(&figure, 0), expected, "{assertion}");
    }
}

#[test]
fn a_sweep_shows_the_rule_of_its_knee() {
    let figure = draw(&[("s.json", &read_value(&sweep()))]);
    let content = figure.charts[0].content.as_ref().unwrap();
    let rows: Vec<f64> = content.levels.iter().map(|level| level.row).collect();
    assert_eq!(rows, [15_000.0]);
    assert!(figure.svg().contains(">3 × the lowest p50: 15.0 µs</text>"));
}

#[test]
fn the_fastest_message_is_no_line_down_at_the_beginning() {
    let figure = figure_of([(3, 1), (50_000, 9_000), (90_000, 1_000)]);
    let content = figure.charts[0].content.as_ref().unwrap();
    let first = content.curves[0].stretches[0][0].at;
    assert!(first.0 > 0.0 && first.1 > 49_000.0, "{first:?}");
    // Nor does it leave decades empty.
    assert!(content.rows.ticks[0].0 >= 20_000.0, "{:?}", content.rows.ticks);
}

#[test]
fn no_label_lies_over_another_however_many_samples_there_are() {
    for samples in [1_u64, 10, 1_000, 1_000_000_000, 1_000_000_000_000] {
        let svg = figure_of([(50_000, samples), (80_000, samples.div_ceil(1_000))]).svg();
        let document = Document::parse(&svg).unwrap();
        let mut places: Vec<(f64, f64, f64)> = elements(&document, "text")
            .map(|node| {
                let (x, y) = (number(&node, "x"), number(&node, "y"));
                let width = words::width(node.text().unwrap(), FONT);
                match node.attribute("text-anchor") {
                    None => (y, x, x + width),
                    Some("middle") => (y, x - width / 2.0, x + width / 2.0),
                    Some(_) => (y, x - width, x),
                }
            })
            .collect();
        places.sort_by(|one, other| one.partial_cmp(other).unwrap());
        for pair in places.windows(2) {
            let is_apart = pair[0].0 < pair[1].0 || pair[0].2 <= pair[1].1;
            assert!(is_apart, "{samples} samples: {pair:?}");
        }
    }
}

#[test]
fn dates_and_legends_stand_on_the_line_above_where_there_is_room() {
    let run = seconds(3, 9_000_000);
    let svg = draw(&[("a.hlog", &run)]).svg();
    let document = Document::parse(&svg).unwrap();
    let title = baseline(&document, "Latency of a.hlog");
    assert_eq!(baseline(&document, "2023-11-14 22:13 UTC"), title);
    assert_eq!(baseline(&document, "p50"), baseline(&document, "Latency by percentile"));
    for title in ["The embedded server: knee at 100,000/s", "The embedded server: holds 152,000/s"]
    {
        let date = "2026-11-28 06:02 UTC".to_owned();
        let figure =
            Figure { title: title.to_owned(), date: Some(date.clone()), ..Figure::default() };
        let svg = figure.svg();
        let document = Document::parse(&svg).unwrap();
        assert_eq!(baseline(&document, &date), baseline(&document, title));
    }
    let long = "a-name-that-fills-the-line".repeat(4);
    let svg = draw(&[(&long, &run)]).svg();
    let document = Document::parse(&svg).unwrap();
    baseline(&document, "6,000 messages · 2023-11-14 22:13 UTC");
    let heading = baseline(&document, "Latency over time");
    assert_eq!(["slowest", "host stall"].map(|key| baseline(&document, key)), [heading; 2]);
}
