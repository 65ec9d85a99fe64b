//! The charts, and the tables of `docs/performance.md`: everything between its markers is written here.

use std::{fs, process::Command};

use crate::{
    chart::{Bar, Chart, Group, number},
    in_process::VERIFIED,
    measure::{
        promise::Promise,
        table::{Cell, Table},
    },
    part::{Part, folder},
};

const BEGIN: &str = "<!-- generated: everything below, by the command above -->";

/// Writes the charts, and the generated half of the page behind what is written by hand.
pub fn write(parts: &[Part]) {
    let page = folder().with_extension("md");
    let by_hand = fs::read_to_string(&page).unwrap_or_default();
    let by_hand = by_hand.split(BEGIN).next().unwrap_or_default();
    let mut generated = format!("{by_hand}{BEGIN}\n\n{}", machine());
    let promises: Vec<&Promise> = parts.iter().flat_map(|part| &part.promises).collect();
    generated += &format!("\n## Promises\n\n{}", promised(&promises));
    for part in parts {
        for (at, table) in part.tables.iter().enumerate() {
            let file = format!("{}-{}.svg", part.name, at + 1);
            fs::write(folder().join(&file), chart(part, table).svg()).expect("room for a chart");
            let (title, table) = (&table.title, markdown(table));
            generated += &format!("\n## {title}\n\n![{title}](performance/{file})\n\n{table}");
        }
    }
    fs::write(page, generated).expect("room for the page");
}

/// What it was measured on.
fn machine() -> String {
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).trim().to_owned()
    };
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("unknown");
    let sha = if cpu.contains(" sha_ni") { "with" } else { "without" };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let lock = include_str!("../Cargo.lock");
    let names = [
        "actix-web",
        "axum",
        "hmac",
        "moka",
        "serde_json",
        "sha2",
        "tokio",
        "async-stripe-webhook",
        "blooio",
        "octoevents",
        "standardwebhooks",
        "svix",
        "webhook-verify",
        "wuapi",
    ];
    let versions: Vec<String> =
        names.iter().filter_map(|name| Some(format!("{name} {}", version(lock, name)?))).collect();
    // What is being written here is no change of what was measured.
    let changed = run(
        "git",
        &["status", "--porcelain", "--untracked-files=no", "--", ":(top)", ":(top,exclude)docs/performance*"],
    );
    let commit = run("git", &["rev-parse", "--short", "HEAD"]) + if changed.is_empty() { "" } else { "-dirty" };
    format!(
        "Measured on {model}, {cores} cores, {sha} SHA instructions; {}; {}; at commit `{}`.\nCrates: {}.\n",
        run("uname", &["-sr"]),
        run("rustc", &["--version"]),
        commit,
        versions.join(", "),
    )
}

fn version<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    lock.split_once(&format!("name = \"{name}\"\nversion = \""))?.1.split('"').next()
}

fn promised(promises: &[&Promise]) -> String {
    let rows = promises.iter().map(|promise| {
        let verdict = if promise.kept() { "kept" } else { "**missed**" };
        format!("| {} | {} | {:.2} | {verdict} |\n", promise.what, promise.bound(), promise.measured)
    });
    "| figure | promised | measured | |\n|---|---|---:|---|\n".to_owned() + &rows.collect::<String>()
}

fn markdown(table: &Table) -> String {
    let rules = (0..table.columns.len()).map(|at| if is_text(table, at) { "---" } else { "---:" });
    let line = |cells: &mut dyn Iterator<Item = String>| format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
    let mut text = line(&mut table.columns.iter().cloned());
    text += &line(&mut rules.map(str::to_owned));
    for row in &table.rows {
        text += &line(&mut row.iter().map(|cell| match cell {
            Cell::Text(text) => text.clone(),
            Cell::Number(value) => number(*value),
        }));
    }
    text
}

fn is_text(table: &Table, column: usize) -> bool {
    matches!(table.rows.first().and_then(|row| row.get(column)), Some(Cell::Text(_)))
}

/// The column of ratios if there is one, else the first of times; grouped by all names but the last.
fn chart(part: &Part, table: &Table) -> Chart {
    let find = |names: &[&str]| table.columns.iter().position(|column| names.contains(&&column[..]));
    let value = find(&["median", "to bare", "ns per event"]).unwrap_or(table.columns.len() - 1);
    let names = (0..value).take_while(|&column| is_text(table, column)).count();
    // A number may be what tells the bars apart: how many events, how many types.
    let names = if find(&["events", "remembered", "registered types"]).is_some() { 2 } else { names.max(1) };
    let (mut groups, mut all): (Vec<Group>, Vec<f64>) = (Vec::new(), Vec::new());
    for row in &table.rows {
        let text = |cell: &Cell| match cell {
            Cell::Text(text) => text.clone(),
            Cell::Number(value) => number(*value),
        };
        let heading = row[..names - 1].iter().map(text).collect::<Vec<_>>().join(", ");
        let Cell::Number(length) = row[value] else { continue };
        let name = text(&row[names - 1]);
        let ours =
            ["circa-receiver", "ours", "pipeline", "receiver", VERIFIED].iter().any(|ours| name.starts_with(ours));
        // Where nothing of others is measured, all is ours.
        let ours =
            ours || matches!(&part.name[..], "dedup" | "routing") || part.name == "floods" && name != "bare HMAC";
        let limit = limit(part, table, &heading, &name);
        all.push(length);
        if groups.last().is_none_or(|group| group.name != heading) {
            groups.push(Group { name: heading, bars: Vec::new() });
        }
        if let Some(group) = groups.last_mut() {
            group.bars.push(Bar { name, value: length, ours, limit });
        }
    }
    let most = all.iter().copied().fold(0.0, f64::max);
    let least = all.iter().copied().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
    let (title, axis) = table.title.split_once("; ").unwrap_or((&table.title, &table.columns[value]));
    let axis =
        if value == find(&["to bare"]).unwrap_or(usize::MAX) { "requests per second, to the bare route" } else { axis };
    Chart { title: title.to_owned(), axis: axis.to_owned(), groups, logarithmic: most / least > 30.0 }
}

/// What was promised for a bar, by the words of the promise.
fn limit(part: &Part, table: &Table, heading: &str, name: &str) -> Option<f64> {
    let is = |promise: &&Promise| match &part.name[..] {
        "verification" => {
            name == "circa-receiver" && promise.what == format!("verification at {heading}: to the floor")
        }
        "pipeline" => name.ends_with("typed event") && promise.what.starts_with(&format!("typed event at {heading}:")),
        "in-process" => name == VERIFIED && promise.what.starts_with(&heading.replacen(", ", ", in process, ", 1)),
        "http" => {
            let (bytes, framework) = heading.split_once(", ").unwrap_or_default();
            name == "ours"
                && promise.what.starts_with(&format!("{framework}, {bytes}:"))
                && promise.what.ends_with("bare route")
        }
        "floods" => {
            promise.what.contains(&format!(", {name}: "))
                && table.title.contains("refused") == promise.what.starts_with("refused")
        }
        "floods-of-signatures" => name == "circa-receiver" && promise.what.contains(&format!(", {heading}: ")),
        _ => false,
    };
    part.promises.iter().find(is).map(|promise| promise.limit)
}
