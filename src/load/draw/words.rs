//! How wide a text becomes, without its font: a bound that holds for the usual sans-serif ones.
//!
//! The widths are those of DejaVu Sans, the widest of the fonts that `system-ui` stands for, in
//! classes of similar characters. A bound is enough to keep texts apart and inside the picture.

/// At most this many pixels wide at this size of font.
pub(super) fn width(text: &str, font_px: f64) -> f64 {
    text.chars().map(em).sum::<f64>() * font_px
}

/// The text if it is no wider than that, else its beginning and its end: of long names both tell.
pub(super) fn fitted(text: &str, font_px: f64, most_px: f64) -> String {
    if width(text, font_px) <= most_px {
        return text.to_owned();
    }
    let room = (most_px - width("…", font_px)) / 2.0;
    let head = longest(text.chars(), font_px, room);
    let tail: Vec<char> = longest(text.chars().rev(), font_px, room);
    let tail = tail.iter().rev();
    head.iter().collect::<String>().trim_end().to_owned() + "…" + tail.collect::<String>().trim()
}

/// Fills lines no wider than that with parts, a separator between those that share a line.
pub(super) fn lines(parts: &[String], separator: &str, font_px: f64, most_px: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let joined = lines.last().map(|line| format!("{line}{separator}{part}"));
        match joined.filter(|joined| width(joined, font_px) <= most_px) {
            Some(joined) => *lines.last_mut().expect("it was just read") = joined,
            None => lines.push(fitted(part, font_px, most_px)),
        }
    }
    lines
}

fn longest(chars: impl Iterator<Item = char>, font_px: f64, most_px: f64) -> Vec<char> {
    let mut taken_px = 0.0;
    chars
        .take_while(|c| {
            taken_px += em(*c) * font_px;
            taken_px <= most_px
        })
        .collect()
}

/// The width of a character as a share of the size of its font.
fn em(c: char) -> f64 {
    match c {
        ' ' | '!' | '\'' | ',' | '.' | '/' | ':' | ';' | 'I' | 'i' | 'j' | 'l' | '|' | '·' => 0.34,
        '"' | '(' | ')' | '-' | '[' | ']' | 'f' | 'r' | 't' | 'J' => 0.46,
        'M' | 'W' | 'm' | '%' | '@' | '…' => 1.0,
        'w' | '#' | '&' | '+' | '<' | '=' | '>' | '~' | '×' | '≤' | '≥' | 'A'..='Z' => 0.84,
        // Wide scripts, and the sign that stands for what cannot be shown.
        '\0'..='\x1f' | '\x7f' | '\u{1100}'.. => 1.1,
        _ => 0.65,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(fitted("short.json", 13.0, 200.0), "short.json");
        let name = "a-very-long-name-of-a-file-in-some-directory-2026-11-23.json";
        let short = fitted(name, 13.0, 200.0);
        assert!(short.starts_with("a-very") && short.ends_with("23.json"), "{short}");
    }

    #[test]
    fn parts_fill_lines() {
        let parts = ["one", "two", "", "three"].map(str::to_owned);
        assert_eq!(lines(&parts, ", ", 10.0, 1000.0), ["one, two, three"]);
        assert_eq!(lines(&parts, ", ", 10.0, width("one, two", 10.0)), ["one, two", "three"]);
        assert!(lines(&[], ", ", 10.0, 100.0).is_empty());
    }

    proptest! {
        #[test]
        fn what_is_fitted_fits(text in "\\PC{0,80}", most_px in 20.0..400.0_f64) {
            prop_assert!(width(&fitted(&text, 13.0, most_px), 13.0) <= most_px + 1e-6);
        }
    }
}
