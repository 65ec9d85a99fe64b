//! The reference model: what a dedup store must answer about one key.
//!
//! It judges an answer, and then follows it: where the contract allows two answers, either is
//! right, and the model goes on from the one that was given.

use std::time::Duration;

use crate::dedup::{ClaimAnswer, Nonce, Token};

use super::subject::{HELD, REMEMBERED};

/// A claim, as a delivery asks for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) nonce: Nonce,
    pub(super) body: u8,
    pub(super) lease: Duration,
}

/// One key, from its first claim on. Every renewal asks for [`HELD`], every `complete` for
/// [`REMEMBERED`].
#[derive(Debug, Default)]
pub(super) struct Model {
    state: State,
    /// The highest token that was given out.
    last: Option<Token>,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// Never claimed.
    #[default]
    Absent,
    Held {
        token: Token,
        nonce: Nonce,
        body: u8,
        ends: Duration,
    },
    Done {
        token: Token,
        body: u8,
        ends: Duration,
    },
    /// Released, or forgotten once it was done: what this token held is free.
    Free {
        token: Token,
    },
}

/// What is wrong with an answer.
pub(super) type Judged = Result<(), String>;

/// `None` where both answers are right.
fn judge(right: Option<bool>, did: bool) -> Judged {
    if right.is_none_or(|right| right == did) { Ok(()) } else { Err(format!("answered {did}")) }
}

impl Model {
    pub(super) fn claim(&mut self, now: Duration, asked: Asked, answer: ClaimAnswer) -> Judged {
        let Asked { nonce, body, lease } = asked;
        let right = match (&mut self.state, answer) {
            (State::Done { body: handled, ends, .. }, _) if now < *ends => {
                answer == ClaimAnswer::Done { same_body: body == *handled }
            }
            (State::Held { nonce: holder, ends, .. }, _) if now < *ends && *holder != nonce => {
                // An entry in progress never blocks longer than the lease that is asked for now.
                *ends = (*ends).min(now + lease);
                matches!(answer, ClaimAnswer::InProgress { retry_after } if retry_after <= *ends - now)
            }
            (state, ClaimAnswer::Won(won)) => {
                let is_repeated =
                    matches!(state, State::Held { token, nonce: holder, .. } if (*token, *holder) == (won, nonce));
                let rises = self.last.is_none_or(|last| won > last);
                *state = State::Held { token: won, nonce, body, ends: now + lease };
                self.last = self.last.max(Some(won));
                is_repeated || rises
            }
            _ => false,
        };
        if right { Ok(()) } else { Err(format!("answered {answer:?}")) }
    }

    pub(super) fn renew(&mut self, now: Duration, by: Token, did: bool) -> Judged {
        judge(self.is_held(now, by), did)?;
        if let (State::Held { ends, .. }, true) = (&mut self.state, did) {
            *ends = now + HELD;
        }
        Ok(())
    }

    pub(super) fn complete(&mut self, now: Duration, by: Token, did: bool) -> Judged {
        match self.state {
            // A repeated call may have the answer of the first one.
            State::Done { token, .. } if token == by => return Ok(()),
            _ => judge(self.is_held(now, by), did)?,
        }
        if let (State::Held { token, body, .. }, true) = (self.state, did) {
            self.state = State::Done { token, body, ends: now + REMEMBERED };
        }
        Ok(())
    }

    pub(super) fn release(&mut self, now: Duration, by: Token, did: bool) -> Judged {
        match self.state {
            State::Free { token } if token == by => return Ok(()),
            _ => judge(self.is_held(now, by), did)?,
        }
        if did {
            self.state = State::Free { token: by };
        }
        Ok(())
    }

    pub(super) fn withdraw(&mut self, now: Duration, nonce: Nonce, did: bool) -> Judged {
        let State::Held { token, nonce: holder, ends, .. } = self.state else {
            // A repeated call may have the answer of the first one; nothing else has this nonce.
            return judge(if matches!(self.state, State::Free { .. }) { None } else { Some(false) }, did);
        };
        let right = if holder != nonce { Some(false) } else { (now < ends).then_some(true) };
        judge(right, did)?;
        if did {
            self.state = State::Free { token };
        }
        Ok(())
    }

    pub(super) fn forget(&mut self, now: Duration, did: bool) -> Judged {
        match self.state {
            State::Done { token, ends, .. } if now < ends => {
                self.state = State::Free { token };
                judge(Some(true), did)
            }
            _ => judge(Some(false), did),
        }
    }

    /// Whether this token holds the claim. Of a lapsed lease that nobody has taken over, either
    /// answer is right.
    fn is_held(&self, now: Duration, by: Token) -> Option<bool> {
        match self.state {
            State::Held { token, ends, .. } if token == by => (now < ends).then_some(true),
            _ => Some(false),
        }
    }
}
