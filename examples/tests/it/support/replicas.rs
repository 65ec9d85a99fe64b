//! Two reference receivers, one of each framework, on one dedup store; killed, and started again,
//! as an orchestrator does.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{sync::mpsc::UnboundedReceiver, task::JoinHandle};

use super::{CIRCA_SECRET, CIRCULARO_SECRET, Process, REFERENCES};

/// How often a start is tried: on a busy machine the store may once not answer in time.
const STARTS: usize = 20;

/// A process of a replica, from its start to its end. All runs of all replicas are numbered.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Run(usize);

pub(crate) struct Replicas {
    environment: Vec<(&'static str, String)>,
    /// By replica.
    running: tokio::sync::Mutex<Vec<(Run, Process)>>,
    places: Mutex<Vec<(Run, SocketAddr)>>,
    heard: Arc<Mutex<Heard>>,
    listeners: Mutex<Vec<JoinHandle<()>>>,
}

/// What all runs said and met.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Whose handler ran for which event, in the order in which the lines came. A line is printed
    /// before the claim is completed.
    pub(crate) lines: Vec<(Run, String)>,
    /// Which run could not mark which event done, by its log.
    pub(crate) unmarked: BTreeSet<(Run, String)>,
    pub(crate) killed: BTreeSet<Run>,
}

impl Heard {
    /// The runs of each event's handler, in order.
    pub(crate) fn runs(&self) -> BTreeMap<&str, Vec<Run>> {
        let mut runs = BTreeMap::<_, Vec<_>>::new();
        for (run, event) in &self.lines {
            runs.entry(event.as_str()).or_default().push(*run);
        }
        runs
    }
}

impl Replicas {
    /// Two on the store at this URL, with this lease in seconds.
    pub(crate) async fn start(store_url: &str, lease: u32) -> Self {
        let environment = vec![
            ("CIRCA_WEBHOOK_SECRET", CIRCA_SECRET.to_owned()),
            ("CIRCULARO_HMAC_SECRET", CIRCULARO_SECRET.to_owned()),
            ("STORE_URL", store_url.to_owned()),
            ("LEASE_SECONDS", lease.to_string()),
            ("RUST_LOG", "circa_receiver=error".to_owned()),
        ];
        let (running, places, heard) = Default::default();
        let replicas = Self { environment, running, places, heard, listeners: Mutex::default() };
        for replica in 0..REFERENCES.len() {
            let (run, process) = replicas.launch(replica, Run(replica)).await;
            replicas.places.lock().unwrap().push((run, process.address));
            replicas.running.lock().await.push((run, process));
        }
        replicas
    }

    async fn launch(&self, replica: usize, run: Run) -> (Run, Process) {
        let mut said = Vec::new();
        for _ in 0..STARTS {
            match REFERENCES[replica].try_start_with(&self.environment).await {
                Ok(mut process) => {
                    let [stdout, stderr] = process.outputs();
                    self.listen(stdout, run, |heard, run, line| heard.lines.push((run, id_of_line(&line))));
                    self.listen(stderr, run, note_unmarked);
                    return (run, process);
                }
                Err(before) => said.extend(before),
            }
        }
        panic!("{} did not start {STARTS} times: {said:?}", REFERENCES[replica].name);
    }

    fn listen(&self, mut output: UnboundedReceiver<String>, run: Run, note: fn(&mut Heard, Run, String)) {
        let heard = Arc::clone(&self.heard);
        let listener = tokio::spawn(async move {
            while let Some(line) = output.recv().await {
                note(&mut heard.lock().unwrap(), run, line);
            }
        });
        self.listeners.lock().unwrap().push(listener);
    }

    pub(crate) fn count(&self) -> usize {
        REFERENCES.len()
    }

    /// Where a replica listens, or listened last.
    pub(crate) fn place(&self, replica: usize) -> (Run, SocketAddr) {
        self.places.lock().unwrap()[replica]
    }

    /// `kill -9` of a replica, and a new one in its place.
    pub(crate) async fn crash(&self, replica: usize) {
        let mut running = self.running.lock().await;
        let (run, process) = running.remove(replica);
        self.heard.lock().unwrap().killed.insert(run);
        process.kill().await;
        let number = REFERENCES.len() + self.heard.lock().unwrap().killed.len() - 1;
        let (run, process) = self.launch(replica, Run(number)).await;
        self.places.lock().unwrap()[replica] = (run, process.address);
        running.insert(replica, (run, process));
    }

    /// Stops all, and tells what all runs said.
    pub(crate) async fn stop(self) -> Heard {
        for (run, process) in self.running.into_inner() {
            let ended = process.stop().await;
            assert_eq!(ended.code, Some(0), "{run:?}: {ended:?}");
        }
        for listener in self.listeners.into_inner().unwrap() {
            listener.await.unwrap();
        }
        Arc::into_inner(self.heard).expect("the listeners have ended").into_inner().unwrap()
    }
}

fn id_of_line(line: &str) -> String {
    let line: serde_json::Value = serde_json::from_str(line).expect(line);
    line["id"].as_str().unwrap().to_owned()
}

fn note_unmarked(heard: &mut Heard, run: Run, line: String) {
    let lost = line.contains("claim passed to another holder");
    if lost || (line.contains("store failed") && line.contains("operation=complete")) {
        let (_, after) = line.split_once("event_id=\"").expect(&line);
        heard.unmarked.insert((run, after.split('"').next().unwrap().to_owned()));
    }
}
