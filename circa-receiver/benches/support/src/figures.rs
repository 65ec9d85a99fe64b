//! Figures by criterion: of each sample a ratio or a difference of two times, instead of a time.
//!
//! criterion runs one benchmark after the other. On a machine that does other work too, speed
//! changes between the two, so a ratio of their times says little. Here one sample calls candidate
//! and baseline in turn and gives the median of the ratios. Warm-up, the number of calls, the
//! samples and the comparison with the last run are criterion's. It prints every figure as if it
//! were seconds.

use std::{
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use criterion::{Criterion, SamplingMode};

/// The figures of one program.
#[expect(missing_debug_implementations, reason = "criterion's is none")]
pub struct Figures {
    criterion: Criterion,
    program: &'static str,
    samples: usize,
}

impl Figures {
    /// Takes so many samples of each figure, in so many seconds. criterion's files go to `folder`.
    pub fn new(program: &'static str, folder: &str, samples: usize, seconds: f64) -> Self {
        let criterion = Criterion::default()
            .output_directory(&Path::new(folder).join("criterion"))
            .warm_up_time(Duration::from_millis(300))
            .measurement_time(Duration::from_secs_f64(seconds))
            .configure_from_args();
        Self { criterion, program, samples }
    }

    /// The median of what `sample` gives for a number of calls; `None` if arguments leave it out.
    pub fn median(&mut self, id: &str, mut sample: impl FnMut(u64) -> f64) -> Option<f64> {
        let mut figures = Vec::new();
        let mut group = self.criterion.benchmark_group(self.program);
        group.sampling_mode(SamplingMode::Flat).sample_size(self.samples);
        group.bench_function(id, |bencher| {
            bencher.iter_custom(|calls| {
                let figure = sample(calls);
                figures.push(figure);
                // A time, which cannot be negative.
                Duration::from_secs_f64(figure.max(0.0) * calls as f64)
            });
        });
        group.finish();
        // The samples come after the warm-up, of which there is none where nothing is measured.
        let samples = figures.split_off(figures.len().checked_sub(self.samples)?);
        Some(median(samples.into_iter()))
    }

    /// The median of the candidate's time as a multiple of the baseline's, in turns of at most 64
    /// calls, and at least 32 turns if the calls suffice. Both give the time of a number of calls,
    /// as [`calls`] does.
    pub fn ratio(
        &mut self,
        id: &str,
        mut candidate: impl FnMut(u64) -> Duration,
        mut baseline: impl FnMut(u64) -> Duration,
    ) -> Option<f64> {
        self.median(id, |calls| {
            let at_once = (calls / 32).clamp(1, 64);
            let turn = |_| {
                let baseline = baseline(at_once);
                candidate(at_once).div_duration_f64(baseline)
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
