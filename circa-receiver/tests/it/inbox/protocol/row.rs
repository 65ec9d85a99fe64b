//! One event in an inbox, as the model sees it: each operation of the engine is one atomic step.

/// One event. Times are left out: a lease lapses whenever it is told to, a backoff is over at once.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Row {
    pub(super) state: State,
    pub(super) token: u8,
    pub(super) attempts: u8,
    /// Of the delivery that was accepted.
    nonce: u8,
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(super) enum State {
    #[default]
    Absent,
    Ready,
    Running {
        lapsed: bool,
    },
    Done,
    Dead,
}

/// How a run ends.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Settlement {
    Complete,
    Retry,
    Postpone,
    GiveBack,
    Bury,
}

impl Settlement {
    pub(super) const ALL: [Self; 5] = [Self::Complete, Self::Retry, Self::Postpone, Self::GiveBack, Self::Bury];
}

/// What is broken on purpose, to see that the model finds it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Flaw {
    #[default]
    None,
    /// Calls of a lease that another worker has by now have their effect.
    NoFence,
    /// A new lease has the token of the last one.
    TokenStays,
    /// A delivery is answered before its event is stored.
    AnswersFirst,
    /// A worker marks an event done before it runs the handler.
    MarksFirst,
    /// An event whose attempts are used up runs all the same.
    NoLimit,
    /// A run that has succeeded gives its event back.
    GivesBackWhatIsDone,
    /// A lost lease does not stop its run, which settles under the lease that holds now.
    TakesTheNewToken,
}

impl Row {
    /// Whether the event is new, also where its delivery repeats itself.
    pub(super) fn accept(&mut self, nonce: u8) -> bool {
        if self.state == State::Absent {
            *self = Self { state: State::Ready, nonce, ..*self };
        }
        self.nonce == nonce
    }

    pub(super) fn lapse(&mut self) {
        if matches!(self.state, State::Running { .. }) {
            self.state = State::Running { lapsed: true };
        }
    }

    pub(super) fn is_due(&self) -> bool {
        matches!(self.state, State::Ready | State::Running { lapsed: true })
    }

    /// The token of the lease and the number of its attempt.
    pub(super) fn lease(&mut self, flaw: Flaw) -> Option<(u8, u8)> {
        if !self.is_due() {
            return None;
        }
        self.state = State::Running { lapsed: false };
        self.token += u8::from(flaw != Flaw::TokenStays || self.token == 0);
        self.attempts += 1;
        Some((self.token, self.attempts))
    }

    pub(super) fn renew(&mut self, token: u8, flaw: Flaw) -> bool {
        let held = self.is_held(token, flaw);
        if held {
            self.state = State::Running { lapsed: false };
        }
        held
    }

    pub(super) fn settle(&mut self, token: u8, settlement: Settlement, flaw: Flaw) -> bool {
        let held = self.is_held(token, flaw);
        if held {
            (self.state, self.attempts) = match settlement {
                Settlement::Complete => (State::Done, self.attempts),
                Settlement::Bury => (State::Dead, self.attempts),
                Settlement::Retry => (State::Ready, self.attempts),
                Settlement::Postpone | Settlement::GiveBack => (State::Ready, self.attempts - 1),
            };
        }
        held
    }

    pub(super) fn replay(&mut self) -> bool {
        let is_dead = self.state == State::Dead;
        if is_dead {
            (self.state, self.attempts) = (State::Ready, 0);
        }
        is_dead
    }

    fn is_held(&self, token: u8, flaw: Flaw) -> bool {
        matches!(self.state, State::Running { .. }) && (self.token == token || flaw == Flaw::NoFence)
    }
}
