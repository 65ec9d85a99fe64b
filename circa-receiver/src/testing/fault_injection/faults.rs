//! What goes wrong between a receiver and its store, drawn from a seed.

use std::{fmt, ops::Range, time::Duration};

use crate::testing::simulator::Random;

/// An outage of [`StoreFaults::all`] lasts so long at most. Circa's first retry comes after 30 s,
/// so an outage costs an event one attempt.
const SHORT_OUTAGE: Duration = Duration::from_secs(20);

/// There are so many outages at most: with three faults of the sender and a handler that fails once
/// an event still has one good attempt of seven.
const OUTAGES: u64 = 2;

/// Outages begin within this time: most attempts of Circa's schedule do.
const OUTAGES_BEGIN_WITHIN: Duration = Duration::from_secs(900);

/// A slow call takes so long at most: less than the store timeout of 2 s.
const SLOWEST: Duration = Duration::from_millis(1_500);

/// What goes wrong between a receiver and its dedup store or inbox, all of it drawn from one seed.
/// [`StoreFaults::none`] by default; [`StoreFaults::all`] for the world as it is.
///
/// Beside outages at most two calls in a row about one event go wrong: the receiver repeats its
/// calls, so no delivery is refused for them. There are at most two outages, within the first 15
/// minutes.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoreFaults {
    errors: bool,
    answers_lost: bool,
    hangs: bool,
    slow_calls: bool,
    longest_outage: Duration,
}

impl StoreFaults {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self::default()
    }

    /// Everything goes wrong now and then; outages last up to 20 s.
    pub fn all() -> Self {
        Self::none().errors().answers_lost().hangs().slow_calls().outages(SHORT_OUTAGE)
    }

    /// A call is answered with an error, and nothing has happened.
    #[must_use]
    pub fn errors(mut self) -> Self {
        self.errors = true;
        self
    }

    /// A call has its effect, and the answer is an error, or never comes.
    #[must_use]
    pub fn answers_lost(mut self) -> Self {
        self.answers_lost = true;
        self
    }

    /// A call has no effect and is never answered.
    #[must_use]
    pub fn hangs(mut self) -> Self {
        self.hangs = true;
        self
    }

    /// A call takes up to 1.5 s.
    #[must_use]
    pub fn slow_calls(mut self) -> Self {
        self.slow_calls = true;
        self
    }

    /// The store is away for up to this long: all calls are answered with errors, or none is
    /// answered.
    #[must_use]
    pub fn outages(mut self, longest: Duration) -> Self {
        self.longest_outage = longest;
        self
    }

    /// The fault of a call, if it has one: about every fourth does.
    pub(super) fn draw(self, random: &mut Random) -> Option<StoreFault> {
        let slow = StoreFault::Slow(SLOWEST.mul_f64(random.below(1_000) as f64 / 1_000.0));
        let possible = [
            (self.errors, StoreFault::Error),
            (self.answers_lost, StoreFault::AnswerLost),
            (self.answers_lost, StoreFault::AnswerHangs),
            (self.hangs, StoreFault::Hang),
            (self.slow_calls, slow),
        ];
        let possible: Vec<_> = possible.into_iter().filter(|(on, _)| *on).map(|(_, fault)| fault).collect();
        let chosen = random.below(possible.len().max(1) as u64) as usize;
        if random.below(4) == 0 { possible.get(chosen).copied() } else { None }
    }

    /// When the store is away.
    pub(super) fn draw_outages(self, random: &mut Random) -> Vec<Outage> {
        let longest = self.longest_outage.as_millis() as u64;
        let outages = if longest == 0 { 0 } else { random.below(OUTAGES + 1) };
        let outage = |_| {
            let begins = Duration::from_millis(random.below(OUTAGES_BEGIN_WITHIN.as_millis() as u64));
            let lasts = Duration::from_millis(1 + random.below(longest));
            Outage { time: begins..begins + lasts, hangs: random.below(2) == 0 }
        };
        (0..outages).map(outage).collect()
    }
}

/// A time in which the store is away, since the injector was made.
#[derive(Clone, Debug)]
pub(super) struct Outage {
    pub(super) time: Range<Duration>,
    /// Calls are not answered, rather than answered with errors.
    pub(super) hangs: bool,
}

/// What went wrong with a call.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StoreFault {
    /// Nothing has happened, and an error is answered.
    Error,
    /// It has happened, and an error is answered.
    AnswerLost,
    /// It has happened, and nothing is answered.
    AnswerHangs,
    /// Nothing has happened, and nothing is answered.
    Hang,
    /// It happens after so long.
    Slow(Duration),
    /// The process was killed before: nothing has happened.
    Killed,
    /// It has happened, and the process is killed.
    KilledAfter,
}

impl StoreFault {
    /// Whether the call has its effect all the same.
    pub(super) fn reaches(self) -> bool {
        match self {
            Self::AnswerLost | Self::AnswerHangs | Self::Slow(_) | Self::KilledAfter => true,
            Self::Error | Self::Hang | Self::Killed => false,
        }
    }
}

impl fmt::Display for StoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error => f.write_str("error"),
            Self::AnswerLost => f.write_str("answer lost"),
            Self::AnswerHangs => f.write_str("answer hangs"),
            Self::Hang => f.write_str("hangs"),
            Self::Slow(time) => write!(f, "slow: {time:.1?}"),
            Self::Killed => f.write_str("process killed"),
            Self::KilledAfter => f.write_str("process killed after it"),
        }
    }
}
