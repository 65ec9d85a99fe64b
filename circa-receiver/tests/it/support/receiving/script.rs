//! What a store does instead of answering, by operation.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex},
};

use circa_receiver::dedup::StoreError;

/// What a scripted store or inbox does instead of answering.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// Reports an error; nothing has happened.
    Fail,
    /// Never answers; nothing has happened.
    Hang,
    /// Does it, and reports an error.
    DoneButFails,
    /// Does it, and never answers.
    DoneButHangs,
    /// Pending once before and once after it is done: a step at which its caller can be dropped.
    Yield,
}

/// The faults to come, and the calls that there were. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    faults: HashMap<&'static str, (Fault, usize)>,
    calls: Vec<&'static str>,
}

impl Script {
    /// The next so many calls of an operation go wrong.
    pub(crate) fn fault(&self, operation: &'static str, fault: Fault, times: usize) {
        self.0.lock().unwrap().faults.insert(operation, (fault, times));
    }

    pub(crate) fn calls(&self, operation: &str) -> usize {
        self.0.lock().unwrap().calls.iter().filter(|call| **call == operation).count()
    }

    pub(crate) async fn call<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let fault = {
            let mut state = self.0.lock().unwrap();
            state.calls.push(operation);
            state.faults.get_mut(operation).and_then(|(fault, times)| {
                *times = times.checked_sub(1)?;
                Some(*fault)
            })
        };
        let failed = || Err(StoreError::Failed("scripted".into()));
        match fault {
            None => call.await,
            Some(Fault::Fail) => failed(),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::DoneButFails) => {
                call.await?;
                failed()
            }
            Some(Fault::DoneButHangs) => {
                call.await?;
                std::future::pending().await
            }
            Some(Fault::Yield) => {
                tokio::task::yield_now().await;
                let answer = call.await;
                tokio::task::yield_now().await;
                answer
            }
        }
    }
}
