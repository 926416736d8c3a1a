//! The folders of `src`, and those of `src/load`, import downwards only.

use std::fs;
use std::path::Path;

use crate::sources::sources;

/// The modules of the library and what each may import, from the lowest up: whoever is named in a
/// line stands before it, so that there are no circles. `testing` drives a driver's parts from
/// above; the unit tests below it use its protocols, and are not counted.
const MODULES: [(&str, &[&str]); 16] = [
    ("log", &[]),
    ("units", &[]),
    ("address", &[]),
    ("cgroup", &[]),
    ("cpus", &[]),
    ("sockets", &[]),
    ("sys", &[]),
    ("protocol", &[]),
    ("lifecycle", &["protocol"]),
    ("metrics", &["lifecycle", "protocol", "units"]),
    ("driver", &["lifecycle", "metrics", "protocol", "sys"]),
    (
        "server",
        &[
            "address",
            "cgroup",
            "cpus",
            "driver",
            "lifecycle",
            "log",
            "metrics",
            "protocol",
            "sockets",
            "sys",
            "units",
        ],
    ),
    ("doctor", &["cgroup", "cpus", "server", "sys"]),
    ("load", &["address", "cgroup", "cpus", "protocol", "sockets", "sys", "units"]),
    ("testing", &["driver", "lifecycle", "load", "metrics", "protocol", "sys"]),
    (
        "cli",
        &[
            "address", "cpus", "doctor", "load", "log", "metrics", "protocol", "server", "sys",
            "units",
        ],
    ),
];
/// The folders of `load`, from the lowest layer up. A folder imports those before its own and the
/// files beside them, which import [`FOUNDATION`] alone.
const LAYERS: [&str; 8] = ["config", "record", "engine", "judge", "report", "draw", "run", "study"];
/// The files in `src/load` itself.
const FOUNDATION: [&str; 8] =
    ["clock", "control", "error", "format", "interrupt", "limits", "outcome", "random"];

/// The module that a file belongs to, by the name of its folder or its own.
fn module(file: &Path) -> &str {
    file.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs")
}

/// The modules below `parent`, such as `crate::load::`, that code names; documentation may link
/// wherever it likes.
fn imports<'a>(text: &'a str, parent: &'a str) -> impl Iterator<Item = &'a str> {
    let end = |rest: &str| rest.find(|c: char| !c.is_ascii_lowercase() && c != '_');
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(move |line| line.split(parent).skip(1))
        .map(move |rest| &rest[..end(rest).unwrap_or(rest.len())])
}

fn is_unit_test(file: &Path) -> bool {
    file.iter().any(|part| part == "tests" || part == "tests.rs" || part == "testing.rs")
}

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| *layer == module)
}

#[test]
fn the_library_imports_downwards_only() {
    for (position, (module, allowed)) in MODULES.iter().enumerate() {
        let is_below = |import: &str| MODULES[..position].iter().any(|(name, _)| *name == import);
        assert!(allowed.iter().all(|import| is_below(import)), "{module} imports from above");
    }
    let src = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let mut seen = 0;
    for path in sources(src) {
        let file = path.strip_prefix(src).unwrap();
        let Some((own, allowed)) = MODULES.iter().find(|(name, _)| *name == module(file)) else {
            assert!(matches!(module(file), "bin" | "guide" | "lib"), "{} is new", file.display());
            continue;
        };
        let text = fs::read_to_string(&path).unwrap();
        for import in imports(&text, "crate::") {
            seen += 1;
            let is_allowed = import == *own || allowed.contains(&import) || is_unit_test(file);
            assert!(is_allowed, "{} imports {import:?}", file.display());
        }
    }
    assert!(seen > 500, "the sources were read: {seen}");
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
        for import in imports(&text, "crate::load::") {
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
