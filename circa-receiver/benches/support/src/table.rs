//! A Markdown table whose figures may have goals.

use std::process::ExitCode;

/// What a figure must reach.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// It is not above this.
    AtMost(f64),
    /// It is not below this.
    AtLeast(f64),
}

/// Rows of cells, and whether a goal was missed in them.
#[derive(Debug)]
pub struct Table {
    lines: Vec<String>,
    missed: bool,
}

impl Table {
    /// A table with these heads of its columns, and no rows.
    pub fn new(heads: &[&str]) -> Self {
        let rule = format!("| --- |{}", " ---: |".repeat(heads.len() - 1));
        Self { lines: vec![format!("| {} |", heads.join(" | ")), rule], missed: false }
    }

    /// A cell with a figure, if it was measured, and its goal, if it has one.
    #[must_use]
    pub fn cell(&mut self, figure: Option<f64>, goal: Option<Goal>) -> String {
        let Some(figure) = figure else { return "not measured".to_owned() };
        let (reached, goal) = match goal {
            None => return rounded(figure),
            Some(Goal::AtMost(most)) => (figure <= most, format!("at most {}", rounded(most))),
            Some(Goal::AtLeast(least)) => (figure >= least, format!("at least {}", rounded(least))),
        };
        self.missed |= !reached;
        format!("{} ({goal}{})", rounded(figure), if reached { "" } else { ": **missed**" })
    }

    /// Adds a row.
    pub fn row(&mut self, name: &str, cells: &[String]) {
        self.lines.push(format!("| {name} | {} |", cells.join(" | ")));
    }

    /// Adds a row of one figure.
    pub fn figure(&mut self, name: &str, figure: Option<f64>, goal: Option<Goal>) {
        let cell = self.cell(figure, goal);
        self.row(name, &[cell]);
    }

    /// Prints the table, ready to be pasted into `docs/performance.md`. Fails if a goal was missed.
    pub fn print(self) -> ExitCode {
        println!("\n{}\n", self.lines.join("\n"));
        if self.missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// A figure with two decimals, or none where it is large or zero.
pub fn rounded(figure: f64) -> String {
    if figure >= 1_000.0 || figure == 0.0 { format!("{figure:.0}") } else { format!("{figure:.2}") }
}
