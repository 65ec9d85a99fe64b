//! What is asked of a storm on its command line.

use std::{collections::hash_map::RandomState, hash::BuildHasher, time::Duration};

use super::settings::{EVENTS_PER_SECOND, SCHEDULE_DIVISOR, SHORT, SHORT_SCHEDULE_DIVISOR};

pub(super) const USAGE: &str = "usage: storm [--mode dedup|inbox] [--store sqlite|postgres|redis] \
                                [--seconds N | --events N] [--kills N] [--seed S]";

/// How long a storm is where nothing is said, in seconds.
const SECONDS: usize = 60;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mode {
    /// Events are handled before they are answered.
    Dedup,
    /// Events are stored before they are answered.
    Inbox,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum StoreKind {
    Sqlite,
    Postgres,
    Redis,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Options {
    pub(super) mode: Mode,
    pub(super) store: StoreKind,
    pub(super) events: usize,
    /// Of receivers and workers, by `kill -9`.
    pub(super) kills: usize,
    pub(super) seed: u64,
}

impl Options {
    /// Reads the arguments behind the program's name.
    pub(super) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let (mut mode, mut store) = (Mode::Dedup, StoreKind::Sqlite);
        let (mut events, mut kills, mut seed) = (None, None, None);
        let mut arguments = arguments.into_iter();
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} has no value\n{USAGE}"))?;
            match (name.as_str(), value.as_str()) {
                ("--mode", "dedup") => mode = Mode::Dedup,
                ("--mode", "inbox") => mode = Mode::Inbox,
                ("--store", "sqlite") => store = StoreKind::Sqlite,
                ("--store", "postgres") => store = StoreKind::Postgres,
                ("--store", "redis") => store = StoreKind::Redis,
                ("--seconds", _) => events = number(&value).map(|seconds| seconds * EVENTS_PER_SECOND),
                ("--events", _) => events = number(&value),
                ("--kills", _) => kills = value.parse().ok(),
                ("--seed", _) => seed = parse_seed(&value),
                _ => return Err(format!("{name} {value} is not known\n{USAGE}")),
            }
            let is_refused = match name.as_str() {
                "--seconds" | "--events" => events.is_none(),
                "--kills" => kills.is_none(),
                "--seed" => seed.is_none(),
                _ => false,
            };
            if is_refused {
                return Err(format!("{name} {value} is not a number\n{USAGE}"));
            }
        }
        if (mode, store) == (Mode::Inbox, StoreKind::Redis) {
            return Err("Redis is no inbox: it answers before what it was told is safe".to_owned());
        }
        let events = events.unwrap_or(SECONDS * EVENTS_PER_SECOND);
        let kills = kills.unwrap_or((events / EVENTS_PER_SECOND / 10).max(1));
        let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
        Ok(Self { mode, store, events, kills, seed })
    }

    /// For how long events are sent for the first time.
    pub(super) fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.events as f64 / EVENTS_PER_SECOND as f64)
    }

    /// What the schedule of the sender that retries is divided by.
    pub(super) fn schedule_divisor(&self) -> u32 {
        if self.duration() < SHORT { SHORT_SCHEDULE_DIVISOR } else { SCHEDULE_DIVISOR }
    }
}

fn number(value: &str) -> Option<usize> {
    value.parse().ok().filter(|number| *number > 0)
}

fn parse_seed(value: &str) -> Option<u64> {
    match value.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => value.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(ToOwned::to_owned))
    }

    #[test]
    fn what_is_asked_is_read() {
        let options = parse("--mode inbox --store postgres --seconds 300 --kills 30 --seed 0x2a");
        let expected = Options {
            mode: Mode::Inbox,
            store: StoreKind::Postgres,
            events: 300 * EVENTS_PER_SECOND,
            kills: 30,
            seed: 42,
        };
        assert_eq!(options, Ok(expected));
        assert_eq!(parse("--events 20000 --seed 7").map(|options| options.events), Ok(20_000));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "--mode",
            "--mode both",
            "--seconds 0",
            "--kills x",
            "--seed 0xg",
            "--colour red",
            "--mode inbox --store redis",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
