//! A sender with many events: each is delivered several times, in random order, to replicas at
//! random, and sent again as Circa does, in a shorter time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use circa_receiver::testing::RETRY_DELAYS;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    circa, event,
    random::Random,
    replicas::{Heard, Replicas, Run},
};

/// First attempts under way at a time; as many later ones come on top, as with Circa. Without a
/// bound a schedule that is so much shorter would send more retries after an outage than a busy
/// machine can ever answer.
const AT_ONCE: usize = 32;

/// Of Circa's 31 hours 22 s remain: two leases of 11 s, and six attempts in the first 5 s. How long
/// a server takes to come back cannot be divided: on a busy machine it may be longer, and so the
/// last wait is repeated.
const DIVISOR: u32 = 5_000;

/// Longer than a server or a receiver takes to come back: a hang fails the test instead of blocking
/// it.
const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) struct Sender {
    pub(crate) events: usize,
    /// So often each event is delivered.
    pub(crate) times: usize,
    pub(crate) seed: u64,
}

/// One delivery of an event: its attempts, each with the run that answered, or did not.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) event: String,
    pub(crate) attempts: Vec<(Run, Option<(u16, String)>)>,
}

impl Sent {
    pub(crate) fn is_delivered(&self) -> bool {
        matches!(self.attempts.last(), Some((_, Some((200..=299, _)))))
    }

    /// The run whose handler ran for this delivery, by its own account.
    pub(crate) fn handled_by(&self) -> Option<Run> {
        let handled = |answer: &Option<(u16, String)>| answer.as_ref().is_some_and(|(_, outcome)| outcome == "handled");
        self.attempts.iter().find(|(_, answer)| handled(answer)).map(|(run, _)| *run)
    }
}

/// The seed: `SEED`, or another one each time. Printed, so that it can be set.
pub(crate) fn seed() -> u64 {
    let nanos = || u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() & u128::from(u32::MAX)).unwrap();
    let seed = std::env::var("SEED").map_or_else(|_| nanos(), |seed| seed.parse().expect("SEED is a number"));
    println!("repeat with SEED={seed}");
    seed
}

pub(crate) fn id(number: usize) -> String {
    format!("evt_{number}")
}

impl Sender {
    pub(crate) fn deliveries(&self) -> usize {
        self.events * self.times
    }

    /// Sends everything until each delivery is answered 2xx; tells how many are through meanwhile.
    ///
    /// # Panics
    ///
    /// Where none comes through for [`PATIENCE`]. How long all take is the machine's affair.
    pub(crate) async fn run(&self, replicas: &Arc<Replicas>, through: &watch::Sender<usize>) -> Vec<Sent> {
        let mut progress = through.subscribe();
        let stuck = async { while timeout(PATIENCE, progress.changed()).await.is_ok() {} };
        tokio::select! {
            sent = self.send_all(replicas, through) => sent,
            () = stuck => panic!("none of {} came through for {PATIENCE:?}: {} are", self.deliveries(), *through.borrow()),
        }
    }

    async fn send_all(&self, replicas: &Arc<Replicas>, through: &watch::Sender<usize>) -> Vec<Sent> {
        let mut order: Vec<_> = (0..self.events).flat_map(|event| std::iter::repeat_n(event, self.times)).collect();
        Random::new(self.seed).shuffle(&mut order);
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let retries = Arc::new(Semaphore::new(AT_ONCE));
        let mut deliveries = JoinSet::new();
        for (number, event) in order.into_iter().enumerate() {
            let place = Arc::clone(&places).acquire_owned().await.unwrap();
            let (replicas, retries, through) = (Arc::clone(replicas), Arc::clone(&retries), through.clone());
            let mut random = Random::new(self.seed ^ (number as u64 + 1).wrapping_mul(0x2545_f491_4f6c_dd1d));
            deliveries.spawn(async move {
                let mut sent = Sent { event: id(event), attempts: Vec::new() };
                attempt(&mut sent, &replicas, &mut random).await;
                drop(place);
                let mut delays = RETRY_DELAYS.iter().chain(RETRY_DELAYS.last().into_iter().cycle());
                while !sent.is_delivered() {
                    sleep(*delays.next().unwrap() / DIVISOR).await;
                    let _place = retries.acquire().await.unwrap();
                    attempt(&mut sent, &replicas, &mut random).await;
                }
                through.send_modify(|through| *through += 1);
                sent
            });
        }
        deliveries.join_all().await
    }
}

async fn attempt(sent: &mut Sent, replicas: &Replicas, random: &mut Random) {
    let (run, address) = replicas.place(random.below(replicas.count()));
    let answer = circa(event(&sent.event)).attempt(address).await;
    let answer = answer.map(|answer| (answer.status, answer.told().1.unwrap_or("-").to_owned()));
    sent.attempts.push((run, answer));
}

/// How often each answer was given, to all attempts.
pub(crate) fn answers(sent: &[Sent]) -> BTreeMap<String, usize> {
    let mut answers = BTreeMap::new();
    for (_, answer) in sent.iter().flat_map(|sent| &sent.attempts) {
        let told = answer.as_ref().map_or("none".to_owned(), |(status, outcome)| format!("{status} {outcome}"));
        *answers.entry(told).or_default() += 1;
    }
    answers
}

/// Whatever was not 2xx was one of these statuses, or, where `None` is among them, no answer.
pub(crate) fn assert_retryable(sent: &[Sent], retryable: &[Option<u16>]) {
    for sent in sent {
        let failed = sent.attempts.iter().map(|(_, answer)| answer.as_ref().map(|(status, _)| *status));
        let failed = failed.filter(|status| !matches!(status, Some(200..=299)));
        failed.for_each(|status| assert!(retryable.contains(&status), "{status:?}: {sent:?}"));
    }
}

/// Every event was handled. All runs of its handler but the last were ended before the event was
/// marked done: their process was killed, and had told nobody that it was handled; or it lives, and
/// says in its log that the store could not be told (contract, section 7: "retry briefly, then 200
/// with an error counter").
pub(crate) fn assert_repeated_for_a_reason(name: &str, events: usize, heard: &Heard, sent: &[Sent]) {
    let told: BTreeSet<(Run, &str)> =
        sent.iter().filter_map(|sent| Some((sent.handled_by()?, sent.event.as_str()))).collect();
    let all = heard.runs();
    for event in (0..events).map(id) {
        let runs = all.get(event.as_str()).unwrap_or_else(|| panic!("{name}: {event} is lost"));
        for run in &runs[..runs.len() - 1] {
            let cut_off = heard.killed.contains(run) && !told.contains(&(*run, &event));
            let unmarked = heard.unmarked.contains(&(*run, event.clone()));
            assert!(cut_off || unmarked, "{name}: {event} was done by {run:?}, and handled again: {runs:?}");
        }
    }
    assert_eq!(all.len(), events, "{name}: handled was what nobody has sent: {:?}", all.keys());
}
