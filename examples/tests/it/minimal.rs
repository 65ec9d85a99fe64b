//! The smallest receivers are the code of README.md, and small.

#[test]
fn the_minimal_receivers_are_the_readmes_code() {
    let readme = include_str!("../../../README.md");
    let minimal = [
        ("axum-minimal", include_str!("../../src/bin/axum-minimal.rs")),
        ("actix-minimal", include_str!("../../src/bin/actix-minimal.rs")),
    ];
    for (name, source) in minimal {
        assert!(source.lines().count() <= 30, "{name} has more than 30 lines");
        let (doc, code) = source.split_once("\n\n").unwrap_or_default();
        assert!(doc.starts_with("//! ") && code.len() > 100, "{name} begins with its sentence");
        assert!(readme.contains(&format!("```rust,no_run\n{code}```")), "{name} is not in README.md word for word");
    }
}
