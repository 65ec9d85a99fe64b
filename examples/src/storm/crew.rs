//! The receivers and workers of a storm, as processes: who runs, who is frozen, and who is started
//! again, as an orchestrator does.

use std::{env, io, mem, path::PathBuf, process::Command, sync::Arc, time::Duration};

use circa_receiver_test_support::{Process, free_port};

use super::child::Role;
use super::effects::Effects;
use super::handler::{LEDGER, SEED};
use super::incident::{Incidents, What, Whom};
use super::ledger::now;
use super::options::Mode;
use super::plan::ProcessFault;
use super::settings::ENDS_WITHIN;
use crate::{BoxError, random::Random};

/// What ended by itself is started again after so long.
const STARTED_AGAIN_AFTER: Duration = Duration::from_millis(200);

pub(super) struct Crew {
    members: Vec<Member>,
    incidents: Arc<Incidents>,
}

struct Member {
    name: String,
    role: Role,
    port: u16,
    launch: Launch,
    process: Process,
    state: State,
}

/// How a process is started.
#[derive(Clone)]
pub(super) struct Launch {
    pub(super) store_url: String,
    pub(super) mode: Mode,
    pub(super) seed: u64,
    /// With the ledger and the logs.
    pub(super) folder: PathBuf,
}

/// Times count from the Unix epoch.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Up,
    Frozen { from: Duration, until: Duration },
    Terminating { from: Duration },
    Down { until: Duration },
}

impl Launch {
    pub(super) fn ledger(&self) -> PathBuf {
        self.folder.join("ledger")
    }

    /// Where the workers book.
    pub(super) fn effects(&self) -> Result<Option<Effects>, BoxError> {
        (self.mode == Mode::Inbox).then(|| Effects::open(&self.store_url)).transpose()
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    fn start(&self, name: &str, role: Role, port: u16) -> io::Result<Process> {
        let mut command = Command::new(env::current_exe()?);
        command.arg(role.argument()).env("STORE_URL", &self.store_url).env("BIND", format!("127.0.0.1:{port}"));
        match self.mode {
            Mode::Inbox => command.env("INBOX", "1"),
            Mode::Dedup => command.env_remove("INBOX"),
        };
        command.env(LEDGER, self.ledger()).env(SEED, self.seed.to_string()).env("RUST_LOG", "circa_receiver=warn");
        Ok(Process::start(&mut command, &self.log(name), "it is this program"))
    }
}

impl Crew {
    pub(super) fn start(roles: &[Role], launch: &Launch, incidents: &Arc<Incidents>) -> io::Result<Self> {
        let member = |(number, role): (usize, &Role)| {
            let (name, port) = (format!("{}-{}", role.argument(), number + 1), free_port());
            let process = launch.start(&name, *role, port)?;
            Ok(Member { name, role: *role, port, launch: launch.clone(), process, state: State::Up })
        };
        let members = roles.iter().enumerate().map(member).collect::<io::Result<_>>()?;
        Ok(Self { members, incidents: Arc::clone(incidents) })
    }

    /// Where the receivers listen, whenever they run.
    pub(super) fn addresses(&self) -> Vec<String> {
        let receivers = self.members.iter().filter(|member| member.role != Role::Worker);
        receivers.map(|member| format!("127.0.0.1:{}", member.port)).collect()
    }

    /// Does it to a member at random, among those that run.
    pub(super) fn strike(&mut self, fault: ProcessFault, random: &mut Random) {
        let up: Vec<usize> =
            (0..self.members.len()).filter(|member| self.members[*member].state == State::Up).collect();
        // All are down or frozen: the next one comes soon.
        if !up.is_empty() {
            self.members[*random.pick(&up)].strike(fault, &self.incidents);
        }
    }

    /// Thaws and starts again what is due.
    pub(super) fn tend(&mut self) -> io::Result<()> {
        self.members.iter_mut().try_for_each(|member| member.tend(now(), &self.incidents))
    }

    /// Whether all run.
    pub(super) fn is_up(&self) -> bool {
        self.members.iter().all(|member| member.state == State::Up)
    }
}

impl Member {
    fn strike(&mut self, fault: ProcessFault, incidents: &Incidents) {
        let from = now();
        match fault {
            ProcessFault::Kill(down) => {
                self.process.kill();
                incidents.add(What::Killed, self.whom(), from, now());
                self.state = State::Down { until: now() + down };
            }
            ProcessFault::Terminate => {
                self.process.terminate();
                self.state = State::Terminating { from };
            }
            ProcessFault::Freeze(time) => {
                self.process.freeze();
                self.state = State::Frozen { from, until: from + time };
            }
        }
    }

    fn tend(&mut self, now: Duration, incidents: &Incidents) -> io::Result<()> {
        match self.state {
            State::Up if !self.process.is_alive() => {
                incidents.add(What::EndedByItself, self.whom(), now, now);
                self.state = State::Down { until: now + STARTED_AGAIN_AFTER };
            }
            State::Frozen { until, .. } if now >= until => self.thaw(incidents),
            State::Terminating { from } if !self.process.is_alive() => {
                incidents.add(What::Terminated, self.whom(), from, now);
                self.state = State::Down { until: now };
            }
            State::Terminating { from } if now >= from + ENDS_WITHIN => {
                self.process.kill();
                incidents.add(What::DidNotEnd, self.whom(), from, now);
                self.state = State::Down { until: now };
            }
            State::Down { until } if now >= until => {
                self.process = self.launch.start(&self.name, self.role, self.port)?;
                self.state = State::Up;
            }
            State::Up | State::Frozen { .. } | State::Terminating { .. } | State::Down { .. } => {}
        }
        Ok(())
    }

    fn thaw(&mut self, incidents: &Incidents) {
        if let State::Frozen { from, .. } = mem::replace(&mut self.state, State::Up) {
            self.process.thaw();
            incidents.add(What::Frozen, self.whom(), from, now());
        }
    }

    fn whom(&self) -> Whom {
        Whom::Process { name: self.name.clone(), pid: self.process.pid() }
    }
}
