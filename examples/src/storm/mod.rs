//! The storm: events from two senders, while receivers, workers and their store are killed, frozen
//! and stopped at random. Afterwards it is judged from a ledger that the handlers wrote: was an
//! event lost, is one stuck, and has every run that was repeated a reason?
//!
//! | | |
//! |---|---|
//! | `program`, `options`, `settings` | what is asked, and what holds for all storms |
//! | `child`, `handler`, `effects`, `ledger` | the receivers and workers, each a process; what their handlers do, book in the inbox's database, and write down |
//! | `crew`, `database`, `plan`, `lanes`, `incident` | the processes and their store; what is done to them, when, and that it was done |
//! | `senders`, `front` | who sends, and what is answered |
//! | `story`, `settled` | the order of a storm, and when everything has come to its end |
//! | `judge`, `bookings`, `report` | what is right, and what is printed |

mod bookings;
mod child;
mod crew;
mod database;
mod effects;
mod front;
mod handler;
mod incident;
mod judge;
mod lanes;
mod ledger;
mod options;
mod plan;
mod program;
mod report;
mod senders;
mod settings;
mod settled;
mod story;

pub use program::main;
