//! The layout of the sources: each folder imports only from those below it, files know no circle,
//! and both stay short.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// The folders and files of `src`, from top to bottom. What stands in one line may not import each
/// other.
const LAYERS: [&[&str]; 16] = [
    &["lib"],
    &["testing"],
    &["adapter", "serving"],
    &["receiver"],
    &["inbox"],
    &["run"],
    &["observe"],
    &["handler"],
    &["event"],
    &["completion"],
    &["dedup"],
    &["engine"],
    &["verify"],
    &["answer"],
    &["call_timeout"],
    &["clock", "error", "panic", "sender"],
];

const MAX_FILE_LINES: usize = 350;
const MAX_FUNCTION_LINES: usize = 45;

/// Every source file: its module path within the crate, and its text.
fn sources() -> BTreeMap<Vec<String>, String> {
    fn read(folder: &Path, path: &[String], files: &mut BTreeMap<Vec<String>, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            let within: Vec<String> = path.iter().cloned().chain([name]).collect();
            if file.is_dir() {
                read(&file, &within, files);
            } else if file.extension().is_some_and(|extension| extension == "rs") {
                files.insert(within, fs::read_to_string(file).unwrap());
            }
        }
    }

    let mut files = BTreeMap::new();
    read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &[], &mut files);
    files
}

fn layer(module: &str) -> usize {
    let layer = LAYERS.iter().position(|layer| layer.contains(&module));
    layer.unwrap_or_else(|| panic!("{module} has no place among the layers: give it one here"))
}

/// The paths that a text imports from its own crate, outside of its unit tests:
/// `["verify", "Verifier"]`.
fn imports(text: &str) -> Vec<Vec<&str>> {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = code.lines().map(str::trim_start);
    let uses = lines.filter_map(|line| {
        let line = line.strip_prefix("pub(crate) ").or(line.strip_prefix("pub ")).unwrap_or(line);
        line.strip_prefix("use crate::")
    });
    uses.map(|path| path.split(['{', ';', ' ']).next().unwrap().split("::").filter(|part| !part.is_empty()).collect())
        .collect()
}

/// The climbing imports of a file.
fn climbs(within: &[String], text: &str) -> Vec<String> {
    let own = layer(&within[0]);
    let climbing = |path: &Vec<&str>| {
        path.first().is_none_or(|module| {
            *module != within[0] && (module.starts_with(char::is_uppercase) || layer(module) <= own)
        })
    };
    let climbing = imports(text).into_iter().filter(climbing);
    climbing.map(|path| format!("{} imports crate::{}", within.join("/"), path.join("::"))).collect()
}

#[test]
fn no_import_climbs() {
    let found: Vec<String> = sources()
        .iter()
        .filter(|(within, _)| within[0] != "lib")
        .flat_map(|(within, text)| climbs(within, text))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The check itself: what climbs is found, what descends is not.
#[test]
fn a_climbing_import_is_found() {
    let within = ["verify".to_owned(), "verifier".to_owned()];
    for (text, is_found) in [
        ("use crate::answer::Rejection;", false),
        ("use crate::verify::hex;", false),
        ("use crate::event::AnyEvent;", true),
        ("use crate::{AnyEvent, Rejection};", true),
        ("use crate::Rejection;", true),
        ("pub use crate::receiver::{Receiver, Reception};", true),
    ] {
        assert_eq!(!climbs(&within, text).is_empty(), is_found, "{text}");
    }
}

/// Within a folder, files import from their siblings and never in a circle.
#[test]
fn no_circle_of_files() {
    let sources = sources();
    let mut below: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
    for (within, text) in &sources {
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let siblings = code.lines().filter_map(|line| line.trim_start().strip_prefix("use super::"));
        let targets = siblings.filter_map(|path| {
            let name = path.split(['{', ';', ':', ' ']).next().unwrap();
            let target: Vec<String> = within[..within.len() - 1].iter().cloned().chain([name.to_owned()]).collect();
            sources.contains_key(&target).then_some(target)
        });
        below.entry(within.clone()).or_default().extend(targets);
    }
    // What imports nothing more is taken away, until nothing is left, or only circles are.
    loop {
        let done: Vec<Vec<String>> =
            below.iter().filter(|(_, targets)| targets.is_empty()).map(|(within, _)| within.clone()).collect();
        if done.is_empty() {
            break;
        }
        for file in done {
            below.remove(&file);
            below.values_mut().for_each(|targets| _ = targets.remove(&file));
        }
    }
    let circles: Vec<String> = below.keys().map(|within| within.join("/")).collect();
    assert!(circles.is_empty(), "in a circle, or above one: {circles:?}");
}

/// A folder's `mod.rs` only leads: it says what the folder is for and where everything is.
#[test]
fn every_mod_rs_only_leads() {
    for (within, text) in sources().iter().filter(|(within, _)| within.last().is_some_and(|name| name == "mod")) {
        assert!(text.starts_with("//!"), "{} does not say what it is for", within.join("/"));
        let defined =
            text.lines().map(|line| line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) "));
        let defined: Vec<&str> = defined
            .filter(|line| {
                ["fn ", "async fn ", "struct ", "enum ", "trait ", "impl", "macro_rules"]
                    .iter()
                    .any(|word| line.starts_with(word))
            })
            .collect();
        assert!(defined.is_empty(), "{} defines {defined:?}", within.join("/"));
    }
}

#[test]
fn files_and_functions_are_short() {
    let mut long = Vec::new();
    for (within, text) in &sources() {
        let lines: Vec<&str> = text.lines().collect();
        if lines.len() > MAX_FILE_LINES {
            long.push(format!("{} has {} lines", within.join("/"), lines.len()));
        }
        for (begin, line) in lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let is_function =
                !line.trim_start().starts_with("//") && (line.contains(" fn ") || line.trim_start().starts_with("fn "));
            let closing = format!("{}}}", " ".repeat(indent));
            let end = lines[begin..]
                .iter()
                .position(|other| **other == closing || other.ends_with(';') && other.trim_start().starts_with("fn "));
            let length = end.map_or(0, |end| end + 1);
            // A declaration without a body, or with an empty one, ends before anything is closed.
            let has_body = lines[begin..].iter().find_map(|other| match other.trim_end() {
                other if other.ends_with('{') => Some(true),
                other if other.ends_with(';') || other.ends_with("{}") => Some(false),
                _ => None,
            });
            if is_function && has_body == Some(true) && length > MAX_FUNCTION_LINES {
                long.push(format!("{}: {} lines: {}", within.join("/"), length, line.trim()));
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}
