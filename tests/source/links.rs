//! README and guides name files that exist.

use std::fs;
use std::path::{Path, PathBuf};

/// Pages for readers.
fn pages(root: &Path) -> Vec<PathBuf> {
    let guide = fs::read_dir(root.join("src/guide")).unwrap().map(|entry| entry.unwrap().path());
    let guides = guide.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    guides.chain([root.join("README.md")]).collect()
}

/// The targets of links to files, without their anchors.
fn linked(text: &str) -> impl Iterator<Item = &str> {
    let inline = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    let defined = definitions(text).filter_map(|(_, target)| target.split('#').next());
    inline.chain(defined).filter(|target| !target.is_empty() && !target.contains("://"))
}

/// Labels and targets of the links that are defined on lines of their own.
fn definitions(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: "))
}

/// Words in backquotes that look like files of this project.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    const FOLDERS: [&str; 6] = ["src/", "tests/", "examples/", "benches/", "scripts/", ".github/"];
    let is_file = |word: &&str| FOLDERS.iter().any(|folder| word.starts_with(folder));
    text.split('`').skip(1).step_by(2).filter_map(|code| code.split(' ').next()).filter(is_file)
}

#[test]
fn files_that_are_named_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut missing) = (0, Vec::new());
    for page in pages(root) {
        let text = fs::read_to_string(&page).unwrap();
        let files = linked(&text).map(|target| page.parent().unwrap().join(target));
        for file in files.chain(quoted(&text).map(|name| root.join(name))) {
            found += 1;
            if !file.exists() {
                missing.push(format!("{}: {}", page.display(), file.display()));
            }
        }
    }
    assert!(found > 60, "the pages were read: {found} files");
    assert!(missing.is_empty(), "{missing:#?}");
}

/// A label that `src/guide/mod.rs` does not define leads to a file there, where rustdoc has a page.
#[test]
fn documentation_and_repository_define_the_links_of_a_guide() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages_of_rustdoc = fs::read_to_string(root.join("src/guide/mod.rs")).unwrap();
    let mut found = 0;
    for page in pages(root) {
        let text = fs::read_to_string(&page).unwrap();
        for (label, _) in definitions(&text) {
            found += 1;
            let definition = match label.trim_matches('`').strip_prefix("src/") {
                Some(source) => format!("        \"{source}\""),
                None => format!("(\"{label}\", \""),
            };
            let is_defined = pages_of_rustdoc.contains(&definition);
            assert!(is_defined, "{}: {label}: {definition}", page.display());
        }
    }
    assert!(found > 15, "the pages were read: {found} links");
}
