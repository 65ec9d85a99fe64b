//! Bar charts as SVG, readable on light and on dark ground.

use std::fmt::Write as _;

/// A chart of horizontal bars in groups.
pub struct Chart {
    pub title: String,
    /// What the bars' lengths mean, with the unit.
    pub axis: String,
    pub groups: Vec<Group>,
    /// Where bars differ by more than a factor of thirty.
    pub logarithmic: bool,
}

/// Bars under one heading.
pub struct Group {
    pub name: String,
    pub bars: Vec<Bar>,
}

/// One bar.
pub struct Bar {
    pub name: String,
    pub value: f64,
    /// A bar of ours stands out.
    pub ours: bool,
    /// What was promised for it: drawn as a line across.
    pub limit: Option<f64>,
}

const WIDTH: f64 = 760.0;
const LABELS: f64 = 230.0;
const RIGHT: f64 = 80.0;
const BAR: f64 = 18.0;
const GAP: f64 = 5.0;

const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-size:15px;font-weight:600}.group{font-weight:600}\
.axis,.tick{fill:#57606a}.grid{stroke:#d0d7de}.bar{fill:#8c959f}.ours{fill:#0969da}.limit{stroke:#cf222e;stroke-width:2}.ground{fill:#fff}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.axis,.tick{fill:#9198a1}.grid{stroke:#3d444d}.bar{fill:#656c76}.ours{fill:#4493f8}\
.limit{stroke:#f85149}.ground{fill:#0d1117}}";

impl Chart {
    pub fn svg(&self) -> String {
        let bars = || self.groups.iter().flat_map(|group| &group.bars);
        let most = bars().flat_map(|bar| [bar.value, bar.limit.unwrap_or(0.0)]).fold(0.0, f64::max);
        let least = bars().map(|bar| bar.value).filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
        let scale = Scale::new(least, most, self.logarithmic);
        let mut drawn = String::new();
        let mut y = 62.0;
        for group in &self.groups {
            if !group.name.is_empty() {
                let _ =
                    write!(drawn, r#"<text class="group" x="12" y="{:.0}">{}</text>"#, y + 13.0, escape(&group.name));
                y += BAR + GAP;
            }
            for bar in &group.bars {
                bar.draw(&mut drawn, &scale, y);
                y += BAR + GAP;
            }
            y += 2.0 * GAP;
        }
        let mut grid = String::new();
        for (value, label) in scale.ticks() {
            let x = scale.x(value);
            let _ = write!(grid, r#"<line class="grid" x1="{x:.1}" y1="56" x2="{x:.1}" y2="{y:.0}"/>"#);
            let _ = write!(grid, r#"<text class="tick" x="{x:.1}" y="51" text-anchor="middle">{label}</text>"#);
        }
        let limits = if bars().any(|bar| bar.limit.is_some()) { "; the red line is the promised limit" } else { "" };
        let (title, axis) = (escape(&self.title), escape(&self.axis));
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{:.0}" viewBox="0 0 {WIDTH} {:.0}" role="img"><title>{title}</title><style>{STYLE}</style><rect class="ground" width="100%" height="100%"/><text class="title" x="12" y="20">{title}</text><text class="axis" x="12" y="36">{axis}{limits}</text>{grid}{drawn}</svg>
"#,
            y + 4.0,
            y + 4.0,
        )
    }
}

impl Bar {
    fn draw(&self, drawn: &mut String, scale: &Scale, y: f64) {
        let (end, middle) = (scale.x(self.value), y + 13.0);
        let name = escape(&self.name);
        let _ = write!(drawn, r#"<text x="{:.0}" y="{middle:.0}" text-anchor="end">{name}</text>"#, LABELS - 8.0);
        let class = if self.ours { "bar ours" } else { "bar" };
        let width = (end - LABELS).max(1.0);
        let _ = write!(
            drawn,
            r#"<rect class="{class}" x="{LABELS}" y="{y:.0}" width="{width:.1}" height="{BAR}" rx="2"/>"#
        );
        let mut beside = end;
        if let Some(limit) = self.limit {
            let x = scale.x(limit);
            beside = beside.max(x);
            let (from, to) = (y - 2.0, y + BAR + 2.0);
            let _ = write!(drawn, r#"<line class="limit" x1="{x:.1}" y1="{from:.0}" x2="{x:.1}" y2="{to:.0}"/>"#);
        }
        let _ = write!(drawn, r#"<text x="{:.1}" y="{middle:.0}">{}</text>"#, beside + 6.0, number(self.value));
    }
}

/// From values to places on the page.
struct Scale {
    from: f64,
    to: f64,
    logarithmic: bool,
}

impl Scale {
    fn new(least: f64, most: f64, logarithmic: bool) -> Self {
        if logarithmic {
            let from = 10_f64.powf((least / 1.5).log10().floor());
            return Self { from, to: most.max(from * 10.0), logarithmic };
        }
        Self { from: 0.0, to: if most > 0.0 { most } else { 1.0 }, logarithmic }
    }

    fn x(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value.max(self.from) / self.from).ln() / (self.to / self.from).ln()
        } else {
            value / self.to
        };
        LABELS + share * (WIDTH - LABELS - RIGHT)
    }

    fn ticks(&self) -> Vec<(f64, String)> {
        if self.logarithmic {
            let powers = std::iter::successors(Some(self.from), |power| Some(power * 10.0));
            return powers.take_while(|power| *power <= self.to).map(|power| (power, tick(power))).collect();
        }
        let rough = self.to / 5.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(power * 10.0);
        (0..=(self.to / step) as usize).map(|at| (at as f64 * step, tick(at as f64 * step))).collect()
    }
}

/// With thousands apart, and no more digits than it deserves.
pub fn number(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.1 {
        return format!("{value:.4}");
    }
    if value != 0.0 && value.abs() < 100.0 && value.fract() != 0.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let apart = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect::<Vec<_>>();
    apart.join(",")
}

/// As [`number`], without zeros at the end of a fraction.
fn tick(value: f64) -> String {
    let text = number(value);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
