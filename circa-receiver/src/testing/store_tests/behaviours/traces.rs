//! Random traces: in whatever order calls come, the store answers as the
//! [model](super::super::model).

use std::{
    collections::HashMap,
    env,
    time::{Duration, Instant},
};

use proptest::{
    collection::vec,
    prelude::{Just, Strategy, prop_oneof},
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};
use tokio::{runtime::Handle, task::block_in_place};

use crate::dedup::{ClaimAnswer, Key, StoreError, Token};

use super::super::{
    model::{Asked, Judged, Model},
    subject::{HELD, REMEMBERED, Subject, keys, nonce},
};

/// How many traces there are, unless the environment variable `STORE_TRACES` is set. They are the
/// same in every run.
const TRACES: u32 = 32;

const LONGEST: usize = 40;
const KEYS: usize = 2;
const HOLDERS: usize = 3;

/// A trace that takes longer is not judged: its leases may have lapsed in real time. Every step
/// that moves time moves it by twice as much at least.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whose claim of which key.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Whose {
    key: usize,
    holder: usize,
}

/// One call, or what happens between two. A call about a claim that was never made, or is not known
/// any more, is left out.
#[derive(Clone, Debug)]
enum Step {
    /// A new delivery.
    Claim {
        whose: Whose,
        body: u8,
        lease: Duration,
    },
    /// The last delivery of this holder once more, as when its answer was lost.
    Repeat(Whose),
    /// Withdraws the last delivery of this holder, whatever became of it.
    Withdraw(Whose),
    /// These with the token that the holder won last, which another may have taken over by now.
    Renew(Whose),
    Complete(Whose),
    Release(Whose),
    Forget(usize),
    /// A holder has lost all it knew of its claims.
    Crash(usize),
    /// Time passes, if the subject can move it.
    Pass(Duration),
}

fn step() -> impl Strategy<Value = Step> {
    let whose = || (0..KEYS, 0..HOLDERS).prop_map(|(key, holder)| Whose { key, holder });
    // Half of them shorter than what a lease has left, mostly: these cap it.
    let lease = prop_oneof![Just(HELD), Just(HELD / 2)];
    prop_oneof![
        6 => (whose(), 1..=2_u8, lease).prop_map(|(whose, body, lease)| Step::Claim { whose, body, lease }),
        2 => whose().prop_map(Step::Repeat),
        2 => whose().prop_map(Step::Withdraw),
        2 => whose().prop_map(Step::Renew),
        3 => whose().prop_map(Step::Complete),
        2 => whose().prop_map(Step::Release),
        1 => (0..KEYS).prop_map(Step::Forget),
        1 => (0..HOLDERS).prop_map(Step::Crash),
        3 => prop_oneof![6 => Just(HELD / 3), 3 => Just(HELD), 1 => Just(REMEMBERED)].prop_map(Step::Pass),
    ]
}

/// Contract, section 7, as a whole: claims, repeats, withdrawals, renewals, completes, releases and
/// forgets in any order, by holders that are late or crash.
pub async fn random_traces_are_answered_as_by_the_model(subject: Subject) {
    let cases = env::var("STORE_TRACES").map_or(TRACES, |traces| traces.parse().expect("STORE_TRACES is a number"));
    let config = Config { cases, failure_persistence: None, max_shrink_time: 60_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let replay = |trace: &[Step]| block_in_place(|| Handle::current().block_on(replay(&subject, trace)));
    match runner.run(&vec(step(), 1..=LONGEST), |trace| replay(&trace)) {
        Ok(()) => {}
        Err(TestError::Fail(why, trace)) => {
            let trace: Vec<String> = shortest(trace, replay).iter().map(|step| format!("    {step:?}")).collect();
            panic!("{why}; the shortest trace that shows it:\n{}", trace.join("\n"))
        }
        Err(TestError::Abort(why)) => panic!("the store is too slow for traces: {why}"),
    }
}

/// Leaves out each step that is not needed: `proptest` does not try again to remove steps once it
/// has simplified others.
fn shortest(mut trace: Vec<Step>, replay: impl Fn(&[Step]) -> Result<(), TestCaseError>) -> Vec<Step> {
    for at in (0..trace.len()).rev() {
        let mut shorter = trace.clone();
        shorter.remove(at);
        if matches!(replay(&shorter), Err(TestCaseError::Fail(_))) {
            trace = shorter;
        }
    }
    trace
}

async fn replay(subject: &Subject, trace: &[Step]) -> Result<(), TestCaseError> {
    let started = Instant::now();
    let mut world = World::new(subject);
    for step in trace {
        let judged = world.take(step).await;
        if started.elapsed() > PATIENCE {
            return Err(TestCaseError::reject("too slow"));
        }
        judged.map_err(|why| TestCaseError::fail(format!("{step:?}: {why}")))?;
    }
    Ok(())
}

/// Keys that no other trace has, and what the model and the holders know of them.
struct World<'s> {
    subject: &'s Subject,
    now: Duration,
    keys: Vec<(Key, Model)>,
    deliveries: HashMap<Whose, Asked>,
    tokens: HashMap<Whose, Token>,
}

impl<'s> World<'s> {
    fn new(subject: &'s Subject) -> Self {
        let keys = keys(KEYS).into_iter().map(|key| (key, Model::default())).collect();
        Self { subject, now: Duration::ZERO, keys, deliveries: HashMap::new(), tokens: HashMap::new() }
    }

    async fn take(&mut self, step: &Step) -> Judged {
        let (store, now) = (&self.subject.store, self.now);
        match *step {
            Step::Claim { whose, body, lease } => {
                self.deliveries.insert(whose, Asked { nonce: nonce(), body, lease });
                self.claim(whose).await
            }
            Step::Repeat(whose) => self.claim(whose).await,
            Step::Withdraw(whose) => {
                let Some(&Asked { nonce, .. }) = self.deliveries.get(&whose) else { return Ok(()) };
                let (key, model) = &mut self.keys[whose.key];
                model.withdraw(now, nonce, answered(store.withdraw(key, nonce).await)?)
            }
            Step::Renew(whose) => {
                let Some((key, model, token)) = self.held(whose) else { return Ok(()) };
                model.renew(now, token, answered(store.renew(key, token, HELD).await)?)
            }
            Step::Complete(whose) => {
                let Some((key, model, token)) = self.held(whose) else { return Ok(()) };
                model.complete(now, token, answered(store.complete(key, token, REMEMBERED).await)?)
            }
            Step::Release(whose) => {
                let Some((key, model, token)) = self.held(whose) else { return Ok(()) };
                model.release(now, token, answered(store.release(key, token).await)?)
            }
            Step::Forget(key) => {
                let (key, model) = &mut self.keys[key];
                model.forget(now, answered(store.forget(key).await)?)
            }
            Step::Crash(holder) => {
                self.deliveries.retain(|whose, _| whose.holder != holder);
                self.tokens.retain(|whose, _| whose.holder != holder);
                Ok(())
            }
            Step::Pass(time) => {
                if self.subject.moves_time {
                    self.subject.pass(time).await;
                    self.now += time;
                }
                Ok(())
            }
        }
    }

    async fn claim(&mut self, whose: Whose) -> Judged {
        let Some(&asked) = self.deliveries.get(&whose) else { return Ok(()) };
        let (key, model) = &mut self.keys[whose.key];
        let answer = answered(self.subject.try_claim_for(key, asked.body, asked.nonce, asked.lease).await)?;
        if let ClaimAnswer::Won(token) = answer {
            self.tokens.insert(whose, token);
        }
        model.claim(self.now, asked, answer)
    }

    fn held(&mut self, whose: Whose) -> Option<(&Key, &mut Model, Token)> {
        let token = *self.tokens.get(&whose)?;
        let (key, model) = &mut self.keys[whose.key];
        Some((key, model, token))
    }
}

fn answered<T>(answer: Result<T, StoreError>) -> Result<T, String> {
    answer.map_err(|error| error.to_string())
}
