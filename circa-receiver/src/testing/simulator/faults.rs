//! What goes wrong between a sender and a receiver, drawn from a seed.

use std::time::Duration;

/// What goes wrong on the way, all of it drawn from one seed. [`Faults::none`] by default;
/// [`Faults::all`] for the world as it is.
///
/// No event meets more than three faults, and no endpoint so many in a row that they alone would
/// disable it: a correct receiver loses nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub(crate) answers_lost: bool,
    pub(crate) twice_at_once: bool,
    pub(crate) reordered: bool,
    pub(crate) old_signatures: bool,
    pub(crate) clock_skew: bool,
    pub(crate) slow_bodies: bool,
    pub(crate) hang_ups: bool,
    pub(crate) altered_headers: bool,
}

/// Generates the methods that switch one fault on each.
macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        impl Faults {
            /// Nothing goes wrong.
            pub fn none() -> Self {
                Self::default()
            }

            /// Everything goes wrong now and then.
            pub fn all() -> Self {
                Self { $($name: true,)* }
            }

            $($(#[$doc])*
            #[must_use]
            pub fn $name(mut self) -> Self {
                self.$name = true;
                self
            })*
        }
    };
}

faults! {
    /// The receiver answers, and the answer is lost on its way back.
    answers_lost,
    /// The same delivery arrives twice at the same time.
    twice_at_once,
    /// Events are held up, by up to ten minutes, and so arrive in another order.
    reordered,
    /// A retry carries the signature of the first attempt, by then perhaps too old.
    old_signatures,
    /// The sender's clock is up to 200 s off.
    clock_skew,
    /// The body takes some seconds to arrive.
    slow_bodies,
    /// The sender hangs up while it waits, at a random point.
    hang_ups,
    /// The unsigned headers name another event.
    altered_headers,
}

/// What goes wrong with one attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    AnswerLost,
    TwiceAtOnce,
    OldSignature,
    SlowBody,
    /// After so many polls of the request's future, or so long, whichever comes first.
    HangUp {
        polls: u64,
        after: Duration,
    },
    AlteredHeaders,
}

impl Fault {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AnswerLost => "answer lost",
            Self::TwiceAtOnce => "twice at once",
            Self::OldSignature => "old signature",
            Self::SlowBody => "slow body",
            Self::HangUp { .. } => "hung up",
            Self::AlteredHeaders => "altered headers",
        }
    }
}

impl Faults {
    /// The fault of an attempt, if it has one: about every third does.
    pub(crate) fn draw(self, random: &mut Random, is_retry: bool) -> Option<Fault> {
        let after = Duration::from_millis(random.below(12_000));
        let hang_up = Fault::HangUp { polls: 1 + random.below(8), after };
        let possible = [
            (self.answers_lost, Fault::AnswerLost),
            (self.twice_at_once, Fault::TwiceAtOnce),
            (self.old_signatures && is_retry, Fault::OldSignature),
            (self.slow_bodies, Fault::SlowBody),
            (self.hang_ups, hang_up),
            (self.altered_headers, Fault::AlteredHeaders),
        ];
        let possible: Vec<_> = possible.into_iter().filter(|(on, _)| *on).map(|(_, fault)| fault).collect();
        let chosen = random.below(possible.len().max(1) as u64) as usize;
        if random.below(3) == 0 { possible.get(chosen).copied() } else { None }
    }
}

/// Random numbers from a seed (SplitMix64): the same on every machine and in every version.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit`, which must not be 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}
