//! A table of results: printed aligned, and kept as JSON.

use serde::{Deserialize, Serialize};

/// Results of one kind.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Table {
    pub title: String,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

/// A name, or a number with as many digits behind the point as it deserves.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Cell {
    Number(f64),
    Text(String),
}

impl Table {
    pub fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        Self { title: title.into(), columns, rows: Vec::new() }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub fn print(&self) {
        println!("\n{}", self.title);
        let rows: Vec<Vec<String>> = std::iter::once(self.columns.clone())
            .chain(self.rows.iter().map(|row| row.iter().map(Cell::to_string).collect()))
            .collect();
        let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..self.columns.len()).map(|at| width(at).unwrap_or_default()).collect();
        for row in &rows {
            let texts = row.iter().enumerate().map(|(at, cell)| {
                let number = at > 0 && !matches!(self.rows.first().and_then(|row| row.get(at)), Some(Cell::Text(_)));
                if number { format!("{cell:>0$}", widths[at]) } else { format!("{cell:<0$}", widths[at]) }
            });
            println!("  {}", texts.collect::<Vec<_>>().join("  ").trim_end());
        }
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) if number.fract() == 0.0 => write!(f, "{number:.0}"),
            Self::Number(number) if number.abs() < 0.1 => write!(f, "{number:.4}"),
            Self::Number(number) if number.abs() < 100.0 => write!(f, "{number:.2}"),
            Self::Number(number) => write!(f, "{number:.0}"),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}
