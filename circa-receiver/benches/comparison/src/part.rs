//! One part of the measurements: its tables and promises, kept as JSON beside the page that shows them.

use std::{fs, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::measure::{promise::Promise, table::Table};

/// Results of one part.
#[derive(Deserialize, Serialize)]
pub struct Part {
    pub name: String,
    pub tables: Vec<Table>,
    pub promises: Vec<Promise>,
}

impl Part {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), tables: Vec::new(), promises: Vec::new() }
    }

    pub fn with(mut self, (table, promises): (Table, Vec<Promise>)) -> Self {
        self.tables.push(table);
        self.promises.extend(promises);
        self
    }

    /// Prints it, and keeps it.
    pub fn keep(&self) {
        self.tables.iter().for_each(Table::print);
        let json = serde_json::to_string_pretty(self).expect("tables are JSON");
        fs::create_dir_all(folder()).and_then(|()| fs::write(path(&self.name), json + "\n")).expect("room for results");
    }

    /// What was kept the last time.
    pub fn kept(name: &str) -> Option<Self> {
        serde_json::from_slice(&fs::read(path(name)).ok()?).ok()
    }
}

/// Where results and charts are kept.
pub fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/performance"))
}

fn path(name: &str) -> PathBuf {
    folder().join(format!("{name}.json"))
}
