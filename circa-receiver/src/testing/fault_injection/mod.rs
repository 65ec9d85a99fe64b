//! Fault injection between a receiver and its dedup store or inbox: errors, lost answers, calls
//! that hang, outages, and processes that are killed between any two calls.
//!
//! 1. `faults`: what may go wrong, and what went wrong with a call;
//! 2. `call`: a call and its answer, for those who judge afterwards;
//! 3. `injector`: draws the faults from a seed, and injects them;
//! 4. `faulty`: a store or an inbox behind an injector; `store`, `inbox`: its calls.

mod call;
mod faults;
mod faulty;
mod inbox;
mod injector;
mod store;

pub use call::StoreCall;
pub use faults::{StoreFault, StoreFaults};
pub use faulty::Faulty;
pub use injector::FaultInjector;
