//! The pages of the repository: no relative link or anchor is dead, README.md is short, and all
//! Rust code is doctested.
//!
//! Links are those in Markdown's inline form, `[text](target)`; targets with a scheme, such as
//! `https:`, are not followed.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    collections::HashMap,
    fs,
    path::{Component, Path, PathBuf},
};

/// README.md is read first, so it stays short. What has more to say belongs in `docs/`.
const README_LINES: usize = 250;
const README_WORDS: usize = 1_800;

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// All pages, by their path from the root.
fn pages() -> Vec<PathBuf> {
    let top = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];
    let folder = fs::read_dir(root().join("docs")).unwrap();
    let docs = folder.map(|entry| Path::new("docs").join(entry.unwrap().file_name()));
    let docs = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    top.iter().map(PathBuf::from).chain(docs).collect()
}

fn page(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines outside of fenced code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fence && !fenced
    })
}

/// The targets of the links in a page. Brackets in code spans, which may go over the end of a line,
/// are no links.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text).collect::<Vec<_>>().join("\n");
    let paragraphs = prose.split("\n\n").map(|paragraph| paragraph.split('`').step_by(2).collect::<String>());
    let targets = |paragraph: String| {
        let rests = paragraph.split("](").skip(1);
        rests.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect::<Vec<_>>()
    };
    paragraphs.flat_map(targets).collect()
}

/// The anchors of a page as GitHub makes them: a heading in lower case, letters, digits, `-` and
/// `_` kept, a space turned into `-`, all else dropped; a heading that stands there again gets
/// `-1`, `-2`, ...
pub(crate) fn anchors(text: &str) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let headings = prose(text).filter_map(|line| {
        let heading = line.trim_start_matches('#');
        (line.starts_with('#') && heading.starts_with(' ')).then(|| heading.trim())
    });
    let anchors = headings.map(|heading| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor = kept.collect::<String>().to_lowercase().replace(' ', "-");
        let count = seen.entry(anchor.clone()).or_default();
        *count += 1;
        if *count == 1 { anchor } else { format!("{anchor}-{}", *count - 1) }
    });
    anchors.collect()
}

/// `folder` and `target` joined, with `..` resolved; `None` where that leaves the repository.
fn resolved(folder: &Path, target: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for component in folder.join(target).components() {
        match component {
            Component::ParentDir => path.pop().then_some(())?,
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// What is wrong with one link of the page at `from`. `exists` and `read` answer for paths from the
/// root.
fn fault(
    from: &Path,
    link: &str,
    exists: impl Fn(&Path) -> bool,
    read: impl Fn(&Path) -> String,
) -> Option<&'static str> {
    let (target, anchor) = link.split_once('#').map_or((link, None), |(target, anchor)| (target, Some(anchor)));
    if target.contains(':') {
        return None;
    }
    let folder = from.parent().unwrap_or(Path::new(""));
    let path = if target.is_empty() { Some(from.to_owned()) } else { resolved(folder, target) };
    let Some(path) = path else { return Some("leaves the repository") };
    if !exists(&path) {
        return Some("no such file");
    }
    let anchor = anchor?;
    let found = path.extension().is_some_and(|extension| extension == "md")
        && anchors(&read(&path)).iter().any(|known| known == anchor);
    (!found).then_some("no such heading")
}

#[test]
fn no_link_is_dead() {
    let (mut dead, mut followed) = (Vec::new(), 0);
    for from in pages() {
        for link in links(&page(&from)) {
            followed += 1;
            if let Some(fault) = fault(&from, &link, |path| root().join(path).exists(), page) {
                dead.push(format!("{}: ({link}): {fault}", from.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
    assert!(followed > 40, "only {followed} links were found: the pages have more");
}

#[test]
fn dead_links_are_found() {
    let pages = HashMap::from([
        ("README.md", "# The `first` one, twice\n## Two\n```sh\n# no heading\n```\n## Two\n"),
        ("docs/a.md", "# A_b, c-d & e\n"),
    ]);
    let read = |path: &Path| pages[path.to_str().unwrap()].to_owned();
    let exists = |path: &Path| pages.contains_key(path.to_str().unwrap());
    let cases = [
        ("README.md", "docs/a.md", None),
        ("README.md", "docs/b.md", Some("no such file")),
        ("README.md", "docs/a.md#a_b-c-d--e", None),
        ("README.md", "docs/a.md#a", Some("no such heading")),
        ("README.md", "#the-first-one-twice", None),
        ("README.md", "#two-1", None),
        ("README.md", "#two-2", Some("no such heading")),
        ("README.md", "#no-heading", Some("no such heading")),
        ("README.md", "https://example.org/#any", None),
        ("docs/a.md", "../README.md#two", None),
        ("docs/a.md", "README.md", Some("no such file")),
        ("docs/a.md", "../../README.md", Some("leaves the repository")),
    ];
    for (from, link, expected) in cases {
        assert_eq!(fault(Path::new(from), link, exists, read), expected, "{link} in {from}");
    }
}

#[test]
fn links_are_read_from_prose_alone() {
    let text =
        "[a](one.md) and ![b](two.svg), [`c[0](x)`](three.md#d)\n```text\n[no](four.md)\n```\n`[no](five.md)\n`\n";
    assert_eq!(links(text), ["one.md", "two.svg", "three.md#d"]);
}

#[test]
fn the_readme_is_short() {
    let readme = page(Path::new("README.md"));
    let (lines, words) = (readme.lines().count(), readme.split_whitespace().count());
    assert!(lines <= README_LINES, "README.md has {lines} lines, more than {README_LINES}: move something to docs/");
    assert!(words <= README_WORDS, "README.md has {words} words, more than {README_WORDS}: move something to docs/");
}

#[test]
fn all_rust_code_is_doctested() {
    let library = page(Path::new("examples/src/lib.rs"));
    for path in pages() {
        let included = library.contains(&format!("include_str!(\"../../{}\")", path.display()));
        assert!(
            included || !page(&path).contains("```rust"),
            "{} is not included in examples/src/lib.rs",
            path.display()
        );
    }
}
