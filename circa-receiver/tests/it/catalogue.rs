//! `docs/catalogue.md` lists what the code has: events, and the variants and fields of
//! `DatapointPulled`.

use std::{collections::BTreeSet, fs, path::Path};

use circa_receiver::Sender;

type Rows = BTreeSet<Vec<String>>;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names in code of each row of the table under a heading.
fn listed(heading: &str) -> Rows {
    let page = read("../docs/catalogue.md");
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).expect("the heading is there");
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.split('`').skip(1).step_by(2).map(str::to_owned).collect()).collect()
}

/// What stands between two texts.
fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    text.split_once(from).and_then(|(_, rest)| rest.split_once(to)).unwrap_or_else(|| panic!("no {from} .. {to}")).0
}

/// The functions that a block declares.
fn functions(block: &str) -> impl Iterator<Item = String> {
    block.lines().filter_map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("pub ").unwrap_or(line).strip_prefix("fn ")?;
        Some(line.split(['(', '<']).next().unwrap().to_owned())
    })
}

#[test]
fn events() {
    let source = read("src/event/kind.rs");
    let kinds = between(&source, "\nevent_kinds! {\n", "\n}");
    let kinds: Rows = kinds
        .lines()
        .filter_map(|line| line.trim().split_once(" = "))
        .map(|(kind, named)| vec![between(named, "\"", "\"").to_owned(), kind.to_owned()])
        .collect();
    let types = Sender::CIRCA.event_types().chain(Sender::CIRCULARO.event_types());
    assert_eq!(kinds.len(), types.count());
    assert_eq!(listed("Events"), kinds);
}

#[test]
fn variants_and_fields_of_a_pull() {
    let source = read("src/event/circa/datapoint_pulled.rs");
    let variants = between(&source, "pub enum DatapointPulled {\n", "\n}");
    let variants = variants.lines().filter_map(|line| line.trim().split_once('('));
    let coded: Rows = variants
        .map(|(variant, data)| {
            let fields = between(&source, &format!("\nimpl {} {{\n", data.trim_end_matches("),")), "\n}");
            [variant.to_owned()].into_iter().chain(functions(fields)).collect()
        })
        .collect();
    assert_eq!(coded.len(), 5);
    let mut listed: Rows = listed("`DatapointPulled`");
    // The unit stands in quotes, in the second column.
    listed = listed.into_iter().map(|row| row.into_iter().filter(|name| !name.starts_with('"')).collect()).collect();
    assert_eq!(listed, coded);
}
