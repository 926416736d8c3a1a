//! Documentation comments name their subject first.

use std::fs;
use std::path::Path;

use crate::sources::sources;

const FOLDERS: [&str; 4] = ["src", "tests", "examples", "benches"];
/// Words after which the subject comes late or never.
const LATE_SUBJECTS: [&str; 3] = ["What", "Whether", "The same"];

/// The text of a line of documentation.
fn documentation(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix("/// ").or_else(|| line.strip_prefix("//! "))
}

fn names_subject_late(text: &str) -> bool {
    LATE_SUBJECTS.iter().any(|words| {
        let rest = text.strip_prefix(words);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    })
}

#[test]
fn documentation_names_its_subject_first() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut lines, mut faults) = (0, Vec::new());
    for path in FOLDERS.iter().flat_map(|folder| sources(&root.join(folder))) {
        let file = path.strip_prefix(root).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in (1..).zip(text.lines()) {
            let Some(text) = documentation(line) else { continue };
            lines += 1;
            if names_subject_late(text) {
                faults.push(format!("{}:{number}: {text}", file.display()));
            }
        }
    }
    assert!(lines > 2000, "the sources were read: {lines} lines");
    assert!(faults.is_empty(), "name the subject first:\n{}", faults.join("\n"));
}
