//! README and guides name files that exist.

use std::fs;
use std::path::{Path, PathBuf};

/// Pages for readers; in a guide, rustdoc's page of a source file stands for the file.
fn pages(root: &Path) -> Vec<PathBuf> {
    let guide = fs::read_dir(root.join("src/guide")).unwrap().map(|entry| entry.unwrap().path());
    let guides = guide.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    guides.chain([root.join("README.md")]).collect()
}

/// The targets of links to files, without their anchors.
fn linked(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', '#']).next()?;
        (!target.is_empty() && !target.contains("::")).then_some(target)
    })
}

/// Words in backquotes that look like files of this project.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    const FOLDERS: [&str; 6] = ["src/", "tests/", "examples/", "benches/", "scripts/", ".github/"];
    let is_file = |word: &&str| FOLDERS.iter().any(|folder| word.starts_with(folder));
    text.split('`').skip(1).step_by(2).filter_map(|code| code.split(' ').next()).filter(is_file)
}

/// The file that a link of this page leads to.
fn file_of(root: &Path, page: &Path, target: &str) -> PathBuf {
    match target.strip_prefix("../../../src/ringback/") {
        Some(source) => root.join("src").join(source.trim_end_matches(".html")),
        None => page.parent().unwrap().join(target),
    }
}

#[test]
fn files_that_are_named_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut missing) = (0, Vec::new());
    for page in pages(root) {
        let text = fs::read_to_string(&page).unwrap();
        let targets = linked(&text).filter(|target| !target.contains("://"));
        let files = targets.map(|target| file_of(root, &page, target));
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
