//! The folders of `src/load` import downwards only.

use std::fs;
use std::path::Path;

use crate::sources::sources;

/// From the lowest layer up. A folder imports those before its own and the files beside them, which
/// import [`FOUNDATION`] alone.
const LAYERS: [&str; 8] = ["config", "record", "engine", "judge", "report", "draw", "run", "study"];
/// The files in `src/load` itself.
const FOUNDATION: [&str; 8] =
    ["clock", "control", "error", "format", "interrupt", "limits", "outcome", "random"];

/// The module of `load` that a file belongs to, by the name of its folder or its own.
fn module(file: &Path) -> &str {
    file.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs")
}

/// The modules of `load` that a file names.
fn imports(text: &str) -> impl Iterator<Item = &str> {
    let end = |rest: &str| rest.find(|c: char| !c.is_ascii_lowercase() && c != '_');
    text.split("crate::load::").skip(1).map(move |rest| &rest[..end(rest).unwrap_or(rest.len())])
}

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| *layer == module)
}

#[test]
fn load_imports_downwards_only() {
    let load = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/load"));
    let mut seen = 0;
    for path in sources(load) {
        let file = path.strip_prefix(load).unwrap();
        let own = module(file);
        if own == "mod" {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for import in imports(&text) {
            seen += 1;
            let is_below = FOUNDATION.contains(&import) || rank(import) <= rank(own);
            let is_known = FOUNDATION.contains(&import) || rank(import).is_some();
            assert!(is_known && is_below, "{} imports {import:?} from above", file.display());
        }
        // A relative path that leaves the folder would not be seen above.
        let depth = file.iter().count() - usize::from(file.ends_with("mod.rs"));
        let leaves = "super::".repeat(depth);
        let is_left = text.lines().any(|line| line.starts_with(&format!("use {leaves}")));
        assert!(rank(own).is_none() || !is_left, "{} leaves its folder", file.display());
    }
    assert!(seen > 100, "the sources were read: {seen}");
}
