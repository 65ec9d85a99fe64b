//! The two adapters are twins: the same files, the same names, small, and without a rule of their
//! own.

use std::{collections::BTreeSet, fs, path::PathBuf};

const ADAPTERS: [&str; 2] = ["circa-receiver-axum", "circa-receiver-actix"];

/// For tests only, behind a feature: between a request and its answer it has no part, and no rule.
const TESTING: &str = "testing.rs";

/// Around the application: its times are the server's own settings, and between a request and its
/// answer it has no part.
const SERVER: &str = "server.rs";

/// A source file: its name, and its code without comments.
struct Source {
    name: String,
    lines: Vec<String>,
}

fn folder(adapter: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(adapter)
}

fn sources(adapter: &str) -> Vec<Source> {
    let folder = folder(adapter).join("src");
    let mut sources: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let text = fs::read_to_string(entry.path()).unwrap();
            Source { name: entry.file_name().into_string().unwrap(), lines: code(&text) }
        })
        .collect();
    sources.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(!sources.is_empty(), "{}", folder.display());
    sources
}

/// The lines that are neither blank nor a comment, without a comment at their end. The sources have
/// neither block comments nor `//` in a text.
fn code(text: &str) -> Vec<String> {
    assert!(!text.contains("/*"), "a block comment would be counted as code");
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default().trim_end());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The identifiers and numbers of a line, and what stands between them.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|character: char| !character.is_alphanumeric() && character != '_').filter(|word| !word.is_empty())
}

/// The sources that stand between a request and its answer.
fn on_the_way(adapter: &str) -> impl Iterator<Item = Source> {
    sources(adapter).into_iter().filter(|source| source.name != TESTING && source.name != SERVER)
}

/// Every line on the way that is not as it should be, with its file, of both adapters.
fn violations(violates: impl Fn(&str) -> bool) -> Vec<String> {
    let mut violations = Vec::new();
    for adapter in ADAPTERS {
        for source in on_the_way(adapter) {
            let lines = source.lines.iter().filter(|line| violates(line));
            violations.extend(lines.map(|line| format!("{adapter}/src/{}: {}", source.name, line.trim())));
        }
    }
    violations
}

#[test]
fn they_have_the_same_files() {
    let names = |adapter| sources(adapter).into_iter().map(|source| source.name).collect::<Vec<_>>();
    assert_eq!(names(ADAPTERS[0]), names(ADAPTERS[1]));
}

#[test]
fn they_export_the_same_names() {
    let exports = ADAPTERS.map(|adapter| {
        let source = sources(adapter).into_iter().find(|source| source.name == "lib.rs").unwrap();
        exported(&source.lines.join(" "))
    });
    assert!(exports[0].contains("webhook::webhook"), "{exports:?}");
    // actix-web's own handlers do not run from an inbox, and have nothing to complete.
    let mut only_one: Vec<_> = exports[0].symmetric_difference(&exports[1]).collect();
    only_one.retain(|name| *name != "extract::Completion");
    assert_eq!(only_one, Vec::<&String>::new());
}

/// The paths that `pub use` exports, and whatever else is public, as it stands.
fn exported(code: &str) -> BTreeSet<String> {
    let items = code.split(';').filter_map(|item| Some(&item[item.find("pub ")?..]));
    items.flat_map(|item| item.strip_prefix("pub use ").map_or(vec![item.to_owned()], paths)).collect()
}

/// `a::{b, c}` as `a::b` and `a::c`. Lists in lists are not needed, and refused.
fn paths(item: &str) -> Vec<String> {
    let Some((before, list)) = item.split_once('{') else { return vec![item.to_owned()] };
    let list = list.trim().strip_suffix('}').expect(item);
    assert!(!list.contains('{'), "{item}");
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(|name| format!("{before}{name}")).collect()
}

/// Public functions and methods too: whoever knows one adapter knows the other.
#[test]
fn their_public_functions_have_the_same_names() {
    let functions = ADAPTERS.map(|adapter| {
        let mut functions = BTreeSet::new();
        for source in sources(adapter) {
            let declared = source.lines.iter().filter_map(|line| declared_function(line));
            functions.extend(declared.map(|function| format!("{} {function}", source.name)));
        }
        functions
    });
    assert!(functions[0].contains("webhook.rs into_route"), "{functions:?}");
    let mut only_one: Vec<_> = functions[0].symmetric_difference(&functions[1]).collect();
    // axum's handlers may take their state from the route; actix-web's take it from the
    // application. actix-web makes no request outside of a server, so its ordinary handlers cannot
    // run from an inbox; portable ones do, with the core's `Receiver::worker`.
    only_one.retain(|function| !["webhook.rs with_state", "webhook.rs with_worker"].contains(&function.as_str()));
    assert_eq!(only_one, Vec::<&String>::new());
}

fn declared_function(line: &str) -> Option<&str> {
    words(line.trim().strip_prefix("pub ")?.split_once("fn ")?.1).next()
}

#[test]
fn they_are_small() {
    for adapter in ADAPTERS {
        let lines: usize = on_the_way(adapter).map(|source| source.lines.len()).sum();
        println!("{adapter}: {lines} lines");
        // actix-web needs ways of its own to end a connection in peace, and has errors of its own
        // beside texts; axum's runs its handlers from an inbox too.
        let at_most = if adapter == "circa-receiver-actix" { 540 } else { 490 };
        assert!(lines < at_most, "{adapter}: {lines} lines of code: does a part of them belong to the core?");
    }
}

/// The one table of answers is the core's.
#[test]
fn they_know_no_status() {
    let is_status = |word: &str| word.parse().is_ok_and(|number: u16| (100..600).contains(&number));
    let is_constant = |rest: &str| rest.starts_with(|character: char| character.is_ascii_uppercase());
    let found = violations(|line| words(line).any(is_status) || line.split("StatusCode::").skip(1).any(is_constant));
    assert_eq!(found, Vec::<String>::new());
}

/// Neither limits and times, nor what becomes of a delivery, nor the name of a header.
#[test]
fn they_know_no_rule() {
    let rules = [
        "Rejection",
        "Outcome",
        "Verifier",
        "Verified",
        "Claim",
        "DedupStore",
        "MemoryStore",
        "Builder",
        "Clock",
        "Duration",
        "Instant",
        "SystemTime",
        "timeout",
        "sleep",
        "is_success",
        "is_client_error",
        "is_server_error",
    ];
    let headers = ["\"circa-", "\"x-", "\"content-", "\"retry-after", "\"allow"];
    let found = violations(|line| {
        // The framework's own name for the error of an extractor, and a delay that is the
        // handler's.
        let line = line.replace("type Rejection = ExtractRejection;", "").replace("delay: Duration", "");
        let line = line.replace("use std::{fmt, time::Duration};", "");
        words(&line).any(|word| rules.contains(&word)) || headers.iter().any(|header| line.contains(header))
    });
    assert_eq!(found, Vec::<String>::new());
}

/// Nothing that hashes, parses or stores.
#[test]
fn they_depend_on_their_framework_and_on_the_core() {
    let known = [
        "axum",
        "actix-web",
        "circa-receiver",
        "tokio",
        "tower-layer",
        "tower-service",
        // The server.
        "hyper",
        "hyper-util",
        "socket2",
        // With the feature for tests.
        "actix-http",
        "futures-core",
        "http",
    ];
    for adapter in ADAPTERS {
        let manifest = fs::read_to_string(folder(adapter).join("Cargo.toml")).unwrap();
        let (_, section) = manifest.split_once("\n[dependencies]\n").unwrap();
        let section = section.split("\n[").next().unwrap();
        let lines = section.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let names: Vec<_> = lines.map(|line| line.split([' ', '.', '=']).next().unwrap()).collect();
        assert!(names.contains(&"circa-receiver"), "{adapter}: {names:?}");
        assert!(names.iter().all(|name| known.contains(name)), "{adapter}: {names:?}");
    }
}

/// The scan itself: were it blind, it would find nothing.
#[test]
fn the_scan_sees() {
    let text = "//! 404\nlet a = 1; // 500\n\n    /// 200\n    StatusCode::OK // x\n";
    assert_eq!(code(text), ["let a = 1;", "    StatusCode::OK"]);
    assert_eq!(
        words("if status == 404 { a_200(x.y) }").collect::<Vec<_>>(),
        ["if", "status", "404", "a_200", "x", "y"]
    );
    let exports = exported("mod a; pub use a::{self, B, c}; pub use d::E; pub fn f() {}");
    assert_eq!(exports.into_iter().collect::<Vec<_>>(), ["a::B", "a::c", "a::self", "d::E", "pub fn f() {}"]);
    let functions = ["    pub async fn f<T>(", "pub fn g()", "pub(crate) fn h()", "fn i()", "pub use fn_a::b;"];
    assert_eq!(functions.map(declared_function), [Some("f"), Some("g"), None, None, None]);
}
