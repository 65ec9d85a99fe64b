//! The program: starts everything, runs the story, judges and prints.

use std::{env, mem, process::ExitCode, sync::Arc};

use circa_receiver_test_support::Folder;
use tokio::{runtime, task::LocalSet};

use super::child::Role;
use super::crew::{Crew, Launch};
use super::database::Database;
use super::front::Front;
use super::incident::Incidents;
use super::judge::{Evidence, judge};
use super::lanes::Lanes;
use super::ledger::{self, now};
use super::options::{Mode, Options, StoreKind};
use super::plan::Plan;
use super::report::Report;
use super::senders::events;
use super::story::{Story, tell, until_open};
use crate::{BoxError, log_to_stderr, say};

/// The storm, or one of its processes, by the arguments.
pub fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let role = arguments.first().and_then(|argument| Role::of(argument));
    let result = match role {
        Some(role) => {
            let _log = log_to_stderr();
            role.run().map(|()| true)
        }
        None => Options::parse(arguments).map_err(Into::into).and_then(|options| run(&options)),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("storm: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing was lost, nothing is stuck, and every double is explained.
fn run(options: &Options) -> Result<bool, BoxError> {
    // First: it repeats the faults also of a storm that does not come to its end.
    println!("seed {:#x}", options.seed);
    let (folder, incidents) = (Folder::new("storm"), Arc::new(Incidents::default()));
    let database = Database::start(options.store, options.mode, &incidents)?;
    let left_out = database.can_fill_disk().err();
    let (mode, seed, path) = (options.mode, options.seed, folder.path().to_owned());
    let launch = Launch { store_url: database.url(), mode, seed, folder: path };
    let crew = Crew::start(roles(options), &launch, &incidents)?;
    let (events, front) = (events(options.events), Front::new(crew.addresses()));
    let plan = Plan::draw(options, left_out.is_none());
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let story = LocalSet::new().block_on(&runtime, async {
        until_open(&front).await?;
        if let Some(effects) = launch.effects()? {
            effects.make_table().await?;
        }
        let lanes = Lanes::start(crew, database, plan, seed);
        let story = tell(options, &launch, &events, &front, &incidents, &lanes).await;
        lanes.end()?;
        story
    });
    let Story { begun, sent_again, sent, answers, stuck, effects } = story?;
    let effects = effects.as_deref();
    let (took, runs, incidents) = (now().saturating_sub(begun), ledger::read(&launch.ledger())?, incidents.all());
    let verdict = judge(Evidence { sent: &sent, runs: &runs, incidents: &incidents, effects, sent_again, stuck });
    let (sent, answers, runs, incidents, is_good) = (&sent, &answers, &runs, &incidents, verdict.is_good());
    println!("{}", Report { options, begun, took, left_out, sent, answers, runs, incidents, verdict: &verdict });
    if !is_good {
        say(&format!("the ledger and the logs are in {}", folder.path().display()));
        mem::forget(folder);
    }
    Ok(is_good)
}

fn roles(options: &Options) -> &'static [Role] {
    match (options.mode, options.store) {
        (Mode::Dedup, _) => &[Role::OnAxum, Role::OnActix],
        (Mode::Inbox, StoreKind::Sqlite) => &[Role::OnAxum, Role::Worker],
        (Mode::Inbox, _) => &[Role::OnAxum, Role::OnActix, Role::Worker, Role::Worker],
    }
}
