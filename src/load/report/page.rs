//! A page for people: rows of a label and a text.
//!
//! A report is one list of rows, each of which names the details that show it; `-v` shows more
//! rows, `-q` two others. Lines are at most 80 columns wide, tables excepted that have many columns.
//! Rows are written with all characters and without colour; both are decided as the page is
//! rendered.

use crate::load::config::quantile::Quantile;

/// Columns of a line: a terminal has them, and so do a mail and a commit message.
const COLUMNS: usize = 80;
/// Lines of a page in the usual detail: what a terminal shows without scrolling, beside the commands
/// before and after.
const USUAL_LINES: usize = 15;
/// Columns of a row's label, its indent included.
const LABEL: usize = 15;
/// Columns of a finding's label: its text needs the room.
const FINDING_LABEL: usize = 11;

/// How much is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Two lines.
    Brief,
    /// A screen.
    #[default]
    Usual,
    /// Everything.
    Full,
}

/// How a report is shown.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// How much of it.
    pub detail: Detail,
    /// The percentiles of the latency; those that suit the detail if there are none.
    pub percentiles: Vec<Quantile>,
    /// True where only ASCII can be shown.
    pub is_ascii: bool,
    /// True if words that matter are coloured.
    pub has_color: bool,
    /// True if the report is the end of what its reader has of the run, who may want more of it.
    pub has_hints: bool,
}

/// A report that people read.
pub trait Text {
    /// All lines that this view shows, each ended by a line feed.
    fn text(&self, view: &View) -> String;

    /// Those that come after lines which were shown while it was measured.
    fn rest(&self, view: &View) -> String {
        self.text(view)
    }
}

/// Details that show a row.
#[derive(Debug, Clone, Copy)]
pub(in crate::load) struct In(Detail, Detail);

impl In {
    /// One of the two lines.
    pub(in crate::load) const BRIEF: Self = Self(Detail::Brief, Detail::Brief);
    /// Of a screen, and of everything.
    pub(in crate::load) const USUAL: Self = Self(Detail::Usual, Detail::Full);
    /// Of a screen, where another row says more in everything.
    pub(in crate::load) const USUAL_ONLY: Self = Self(Detail::Usual, Detail::Usual);
    /// Of everything.
    pub(in crate::load) const FULL: Self = Self(Detail::Full, Detail::Full);

    fn shows(self, detail: Detail) -> bool {
        self.0 <= detail && detail <= self.1
    }
}

/// Something that a reader must know, and what helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::load) struct Finding {
    label: &'static str,
    fact: String,
    remedy: Option<String>,
}

impl Finding {
    /// A reason why numbers may not be used.
    pub(in crate::load) fn reason(sentence: &str) -> Self {
        Self::new("why", sentence)
    }

    /// Something to know of numbers that may be used.
    pub(in crate::load) fn note(sentence: &str) -> Self {
        Self::new("note", sentence)
    }

    /// A sentence of a verdict is a fact, its cause, and behind the last semicolon the remedy.
    pub(in crate::load) fn new(label: &'static str, sentence: &str) -> Self {
        let (fact, remedy) = match sentence.rsplit_once("; ") {
            Some((fact, remedy)) => (fact, Some(remedy.to_owned())),
            None => (sentence, None),
        };
        Self { label, fact: fact.to_owned(), remedy }
    }

    pub(in crate::load) fn fact(&self) -> &str {
        &self.fact
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = self.fact_lines();
        lines.extend(self.remedy.iter().flat_map(|remedy| labelled("try", remedy, FINDING_LABEL)));
        lines
    }

    fn fact_lines(&self) -> Vec<String> {
        labelled(self.label, &self.fact, FINDING_LABEL)
    }
}

#[derive(Debug, Default)]
pub(in crate::load) struct Page {
    rows: Vec<(In, Content)>,
    /// True if measured values are not to be used.
    is_doubtful: bool,
}

#[derive(Debug)]
enum Content {
    Line { text: String, indent: usize },
    Row { label: String, text: String },
    Table(String),
    Findings(Vec<Finding>),
    Clipped(String),
}

impl Page {
    /// A page whose measured values are marked where they are not to be used.
    pub(in crate::load) fn new(is_valid: bool) -> Self {
        Self { rows: Vec::new(), is_doubtful: !is_valid }
    }

    /// A line; where it is too long the next ones are indented by so much.
    pub(in crate::load) fn line(&mut self, shown: In, text: impl Into<String>, indent: usize) {
        self.rows.push((shown, Content::Line { text: text.into(), indent }));
    }

    pub(in crate::load) fn blank(&mut self, shown: In) {
        self.line(shown, "", 0);
    }

    /// A line with something aside at its right end, or below it where there is no room.
    pub(in crate::load) fn spread(&mut self, shown: In, text: &str, aside: &str) {
        let room = COLUMNS.saturating_sub(text.chars().count() + aside.chars().count());
        let gap: String = match room {
            0 | 1 => "  ".to_owned(),
            columns => std::iter::repeat_n(HARD_BLANK, columns).collect(),
        };
        self.line(shown, format!("{text}{gap}{aside}"), 2);
    }

    /// A line that ends where there is no more room.
    pub(in crate::load) fn clipped(&mut self, shown: In, text: impl Into<String>) {
        self.rows.push((shown, Content::Clipped(text.into())));
    }

    /// One of the two lines, with a label.
    pub(in crate::load) fn brief(&mut self, label: &str, text: &str) {
        self.clipped(In::BRIEF, format!("{label:<12}{text}"));
    }

    /// A label and its text; no row where there is no text.
    pub(in crate::load) fn row(&mut self, shown: In, label: &str, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.rows.push((shown, Content::Row { label: label.to_owned(), text }));
        }
    }

    /// A row of measured values.
    pub(in crate::load) fn measured(&mut self, shown: In, label: &str, text: impl Into<String>) {
        /// Columns of the mark, of the label's.
        const MARK: usize = 2;
        if self.is_doubtful {
            let width = LABEL - 2 * MARK;
            self.row(shown, &format!("{label:<width$}~"), text);
        } else {
            self.row(shown, label, text);
        }
    }

    /// Lines as they are.
    pub(in crate::load) fn table(&mut self, shown: In, lines: impl Into<String>) {
        self.rows.push((shown, Content::Table(lines.into())));
    }

    /// The last rows: in the usual detail as many as there is room for, the first in any case.
    pub(in crate::load) fn findings(&mut self, shown: In, findings: Vec<Finding>) {
        self.rows.push((shown, Content::Findings(findings)));
    }

    pub(in crate::load) fn render(&self, view: &View) -> String {
        let mut lines: Vec<String> = Vec::new();
        for (_, content) in self.rows.iter().filter(|(shown, _)| shown.shows(view.detail)) {
            match content {
                Content::Line { text, indent } => lines.extend(wrapped("", text, *indent, COLUMNS)),
                Content::Row { label, text } => lines.extend(labelled(label, text, LABEL)),
                Content::Table(table) => lines.extend(table.lines().map(str::to_owned)),
                Content::Clipped(text) => lines.push(clip(text)),
                Content::Findings(findings) => {
                    let room = match view.detail {
                        Detail::Full => usize::MAX,
                        _ => USUAL_LINES.saturating_sub(lines.len()),
                    };
                    lines.extend(fitting(findings, room));
                }
            }
        }
        lines.iter().map(|line| format!("{}\n", dress(line, view))).collect()
    }
}

/// The lines of as many findings as fit, and how many do not; of the first the fact in any case.
fn fitting(findings: &[Finding], room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for (place, finding) in findings.iter().enumerate() {
        let mut own = finding.lines();
        let is_last = place + 1 == findings.len();
        // The line that says how many are left needs room as well.
        let needed = lines.len() + own.len() + usize::from(!is_last);
        if place > 0 && needed > room {
            let left = findings.len() - place;
            lines.extend(labelled("", &format!("and {left} more: see -v"), FINDING_LABEL));
            return lines;
        }
        if needed > room {
            own = finding.fact_lines();
            if is_last {
                own.extend(labelled("try", "see -v", FINDING_LABEL));
            }
        }
        lines.extend(own);
    }
    lines
}

fn labelled(label: &str, text: &str, width: usize) -> Vec<String> {
    let label = format!("  {label}");
    wrapped(&format!("{label:<width$}"), text, width, COLUMNS)
}

/// Lines of so many columns that begin with `start` or are indented: broken between items, which two
/// blanks separate, and within an item only where it is longer than a line.
pub fn wrapped(start: &str, text: &str, indent: usize, columns: usize) -> Vec<String> {
    let mut lines = vec![start.to_owned()];
    let mut is_begun = false;
    for item in text.split("  ").map(str::trim).filter(|item| !item.is_empty()) {
        let width = item.chars().count();
        let (gap, parts) = match width + indent <= columns {
            true => ("  ", vec![item]),
            false => (" ", item.split(' ').collect()),
        };
        for (place, part) in parts.into_iter().enumerate() {
            let line = lines.last_mut().expect("there is a first line");
            let gap = if place == 0 { "  " } else { gap };
            let width = line.chars().count() + gap.len() + part.chars().count();
            if is_begun && width > columns {
                lines.push(format!("{:indent$}{part}", ""));
            } else {
                line.push_str(if is_begun { gap } else { "" });
                line.push_str(part);
            }
            is_begun = true;
        }
    }
    lines.iter_mut().for_each(|line| line.truncate(line.trim_end().len()));
    lines
}

fn clip(text: &str) -> String {
    if text.chars().count() <= COLUMNS {
        return text.to_owned();
    }
    text.chars().take(COLUMNS - 1).chain(['…']).collect()
}

/// A blank at which no line is broken.
pub(super) const HARD_BLANK: char = '\u{a0}';

/// A line in the characters and colours of this view.
fn dress(line: &str, view: &View) -> String {
    let line = &line.replace(HARD_BLANK, " ");
    let line = if view.is_ascii { ascii(line) } else { line.to_owned() };
    if view.has_color { colored(&line) } else { line }
}

/// A text in ASCII. What stands in tables keeps its width.
pub fn ascii(text: &str) -> String {
    let text = text.replace("≤ ", "<=").replace('✓', "met").replace('✗', "MISSED");
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_ascii() => plain.push(c),
            'µ' => plain.push('u'),
            '×' => plain.push('x'),
            '→' => plain.push_str("->"),
            '…' => plain.push_str("..."),
            '│' | '▏' | '▕' => plain.push('|'),
            // Bars: by height, or by length.
            '▁'..='▇' => plain.push(b".:-=+*#"[(c as usize) - ('▁' as usize)].into()),
            '█' | '▉' | '▊' | '▋' | '▌' => plain.push('#'),
            '▍' | '▎' => plain.push('.'),
            c => plain.extend(c.escape_unicode()),
        }
    }
    plain
}

/// Words that mean something, in green where that is good, else in red (ECMA-48, 8.3.117).
const TONES: [(&str, &str); 6] = [
    ("INVALID", "31;1"),
    ("INCOMPLETE", "31;1"),
    ("MISSED", "31;1"),
    ("✗", "31;1"),
    ("✓", "32"),
    ("VALID", "32;1"),
];

fn colored(line: &str) -> String {
    let mut colored = String::with_capacity(line.len());
    for (place, word) in line.split(' ').enumerate() {
        if place > 0 {
            colored.push(' ');
        }
        let bare = word.trim_end_matches([',', ':']);
        match TONES.iter().find(|(known, _)| *known == bare) {
            Some((_, tone)) => {
                colored += &format!("\x1b[{tone}m{bare}\x1b[0m{}", &word[bare.len()..]);
            }
            None => colored.push_str(word),
        }
    }
    colored
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(page: &Page, detail: Detail) -> String {
        page.render(&View { detail, ..View::default() })
    }

    #[test]
    fn more_detail_shows_more_rows_of_one_page() {
        let mut page = Page::new(true);
        page.clipped(In::BRIEF, "x".repeat(81));
        page.line(In::USUAL, "first", 0);
        page.row(In::USUAL_ONLY, "Short", "1");
        page.measured(In::FULL, "Long", "1  2");
        assert_eq!(show(&page, Detail::Brief), format!("{}…\n", "x".repeat(79)));
        assert_eq!(show(&page, Detail::Usual), "first\n  Short        1\n");
        assert_eq!(show(&page, Detail::Full), "first\n  Long         1  2\n");
        let mut page = Page::new(false);
        page.measured(In::USUAL, "Rate", "1");
        assert_eq!(show(&page, Detail::Usual), "  Rate       ~ 1\n");
    }

    #[test]
    fn long_rows_break_between_items_and_long_items_between_words() {
        let items = ["one two"; 12].join("  ");
        let words = ["word"; 30].join(" ");
        let mut page = Page::new(true);
        page.row(In::USUAL, "Items", items);
        page.row(In::USUAL, "Words", words);
        let text = show(&page, Detail::Usual);
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
        let second = text.lines().nth(1).unwrap();
        assert_eq!(second, format!("{:15}{}", "", ["one two"; 5].join("  ")));
        assert_eq!(text.matches("word").count(), 30);
    }

    #[test]
    fn a_narrow_line_breaks_as_a_wide_one_does() {
        let text = "ringback-load  embedded server  closed loop, 64 connections × 64 B";
        let lines = ["ringback-load", "embedded server", "closed loop, 64", "connections × 64 B"];
        assert_eq!(wrapped("", text, 0, 20), lines);
        assert_eq!(wrapped("", text, 0, 80), [text]);
        assert_eq!(wrapped("", text, 0, 1).len(), 10);
    }

    #[test]
    fn a_screen_has_as_many_findings_as_fit_and_says_how_many_do_not() {
        let page = |findings: usize| {
            let mut page = Page::new(false);
            (0..8).for_each(|_| page.line(In::USUAL, "row", 0));
            let finding = Finding::reason("it broke: it was dropped; take another");
            page.findings(In::USUAL, vec![finding; findings]);
            page
        };
        assert_eq!(show(&page(3), Detail::Usual).lines().count(), 14);
        let many = show(&page(9), Detail::Usual);
        assert_eq!(many.lines().count(), USUAL_LINES, "{many}");
        let expected = "  why      it broke: it was dropped\n  try      take another\n";
        assert!(many.contains(expected), "{many}");
        assert!(many.ends_with("           and 6 more: see -v\n"), "{many}");
        assert_eq!(show(&page(9), Detail::Full).lines().count(), 8 + 18);
    }

    #[test]
    fn where_a_remedy_does_not_fit_it_is_with_the_rest() {
        let page = |findings: usize| {
            let mut page = Page::new(false);
            (0..USUAL_LINES - 2).for_each(|_| page.line(In::USUAL, "row", 0));
            let remedy = "one word ".repeat(20);
            let finding = Finding::note(&format!("it waited; {remedy}"));
            page.findings(In::USUAL, vec![finding; findings]);
            show(&page, Detail::Usual)
        };
        let one = page(1);
        assert_eq!(one.lines().count(), USUAL_LINES, "{one}");
        assert!(one.ends_with("  note     it waited\n  try      see -v\n"), "{one}");
        let two = page(2);
        assert_eq!(two.lines().count(), USUAL_LINES, "{two}");
        assert!(two.ends_with("  note     it waited\n           and 1 more: see -v\n"), "{two}");
    }

    #[test]
    fn words_are_colored_where_they_mean_something_and_ascii_where_there_is_no_more() {
        let mut page = Page::new(true);
        page.line(In::USUAL, "INVALID: 64 × 3 µs ✗ VALIDATE ▁█ ≤ 4", 0);
        let view = View { has_color: true, ..View::default() };
        let text = page.render(&view);
        assert_eq!(
            text,
            "\u{1b}[31;1mINVALID\u{1b}[0m: 64 × 3 µs \u{1b}[31;1m✗\u{1b}[0m VALIDATE ▁█ ≤ 4\n"
        );
        let view = View { is_ascii: true, ..View::default() };
        assert_eq!(page.render(&view), "INVALID: 64 x 3 us MISSED VALIDATE .# <=4\n");
    }
}
