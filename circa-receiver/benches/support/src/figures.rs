//! Figures by criterion: of each sample the ratio of two times, or a rate, instead of a time.
//!
//! criterion runs one benchmark after the other. On a machine that does other work too, speed
//! changes between the two, so a ratio of their times says little. Here one sample calls candidate
//! and baseline in turn and gives the median of the ratios. Warm-up, the number of calls, the
//! samples, their median and the comparison with the last run are criterion's.

use std::{
    fs,
    hint::black_box,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use criterion::{
    Criterion, SamplingMode, Throughput,
    measurement::{Measurement, ValueFormatter},
};

/// The most calls of one candidate before it is the other's turn.
const AT_ONCE: u64 = 64;

/// The figures of one program.
#[expect(missing_debug_implementations, reason = "criterion's is none")]
pub struct Figures {
    criterion: Criterion<Figure>,
    program: &'static str,
    folder: PathBuf,
}

impl Figures {
    /// Takes so many samples of each figure, in so many seconds. criterion's files go to `folder`.
    pub fn new(program: &'static str, folder: &str, samples: usize, seconds: f64) -> Self {
        let folder = Path::new(folder).join("criterion");
        let criterion = Criterion::default()
            .with_measurement(Figure)
            .output_directory(&folder)
            .warm_up_time(Duration::from_millis(300))
            .measurement_time(Duration::from_secs_f64(seconds))
            .sample_size(samples)
            .configure_from_args();
        Self { criterion, program, folder }
    }

    /// The median of what `sample` gives for a number of calls; `None` if arguments leave it out.
    pub fn median(&mut self, id: &str, mut sample: impl FnMut(u64) -> f64) -> Option<f64> {
        let plain = !id.contains(['?', '"', '/', '\\', '*', '<', '>', ':', '|', '^']);
        assert!(plain && id.len() <= 64, "{id}: criterion would give the folder another name");
        let estimates = self.folder.join(self.program).join(id).join("new/estimates.json");
        // What an earlier run measured is not what this one did.
        let _ = fs::remove_file(&estimates);
        let mut group = self.criterion.benchmark_group(self.program);
        group.sampling_mode(SamplingMode::Flat);
        group.bench_function(id, |bencher| bencher.iter_custom(|calls| sample(calls) * calls as f64));
        group.finish();
        let estimates: serde_json::Value = serde_json::from_slice(&fs::read(estimates).ok()?).unwrap();
        Some(estimates["median"]["point_estimate"].as_f64().unwrap())
    }

    /// The median of the candidate's time as a multiple of the baseline's. Both give the time of a
    /// number of calls, as [`calls`] does.
    pub fn ratio(
        &mut self,
        id: &str,
        mut candidate: impl FnMut(u64) -> Duration,
        mut baseline: impl FnMut(u64) -> Duration,
    ) -> Option<f64> {
        self.median(id, |calls| {
            // At least 32 turns, if the calls suffice.
            let at_once = (calls / 32).clamp(1, AT_ONCE);
            let turn = |_| {
                let baseline = baseline(at_once);
                candidate(at_once).as_secs_f64() / baseline.as_secs_f64()
            };
            median((0..calls / at_once).map(turn))
        })
    }
}

/// The middle value; the upper one of two.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Times so many calls.
pub fn calls<T>(mut call: impl FnMut() -> T) -> impl FnMut(u64) -> Duration {
    move |calls| {
        let start = Instant::now();
        for _ in 0..calls {
            black_box(call());
        }
        start.elapsed()
    }
}

/// A number without a unit, the same for any number of calls.
struct Figure;

impl Measurement for Figure {
    type Intermediate = ();
    type Value = f64;

    fn start(&self) {}

    fn end(&self, (): ()) -> f64 {
        unreachable!("`iter_custom` gives the value")
    }

    fn add(&self, first: &f64, second: &f64) -> f64 {
        first + second
    }

    fn zero(&self) -> f64 {
        0.0
    }

    fn to_f64(&self, value: &f64) -> f64 {
        *value
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        self
    }
}

impl ValueFormatter for Figure {
    fn scale_values(&self, _: f64, _: &mut [f64]) -> &'static str {
        ""
    }

    fn scale_throughputs(&self, _: f64, _: &Throughput, _: &mut [f64]) -> &'static str {
        ""
    }

    fn scale_for_machines(&self, _: &mut [f64]) -> &'static str {
        ""
    }
}
