//! Reads a table of wire vectors; the formats are explained in the tables themselves.

/// One case: its name, its settings and steps as (mark, rest of the line).
pub(crate) struct Case<'a> {
    pub(crate) name: &'a str,
    pub(crate) steps: Vec<(&'a str, &'a str)>,
}

pub(crate) fn cases(table: &str) -> Vec<Case<'_>> {
    let mut cases: Vec<Case<'_>> = Vec::new();
    for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (mark, rest) = line.split_once(' ').expect("a line is a mark and its argument");
        match (mark, cases.last_mut()) {
            ("case", _) => cases.push(Case { name: rest, steps: Vec::new() }),
            (_, Some(case)) => case.steps.push((mark, rest)),
            (_, None) => panic!("{line:?} stands before the first case"),
        }
    }
    cases
}

impl<'a> Case<'a> {
    /// The value of the setting `name`, which takes the first line of the case, if it has it.
    pub(crate) fn setting(&mut self, name: &str) -> Option<u32> {
        let (_, value) = *self.steps.first().filter(|(mark, _)| *mark == name)?;
        self.steps.remove(0);
        Some(value.parse().expect("a setting is a number"))
    }
}

pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex
        .chars()
        .filter(|character| *character != ' ')
        .map(|digit| digit.to_digit(16).unwrap_or_else(|| panic!("{digit:?} in {hex:?}")))
        .collect();
    assert!(digits.len().is_multiple_of(2), "half a byte in {hex:?}");
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}
