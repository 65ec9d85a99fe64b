//! Replays the fuzz targets' corpora, so that every `cargo test` runs what the fuzzers run; finds of theirs are added as files.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

use circa_receiver_test_support::fuzz;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut replayed = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let input = fs::read(&path).unwrap();
        if std::panic::catch_unwind(|| run(&input)).is_err() {
            panic!("{} fails, see above", path.display());
        }
        replayed += 1;
    }
    assert!(replayed >= 15, "{replayed} files in {}", folder.display());
}

#[test]
fn header() {
    replay("header", fuzz::header);
}

#[test]
fn body() {
    replay("body", fuzz::body);
}

#[test]
fn delivery() {
    replay("delivery", fuzz::delivery);
}
