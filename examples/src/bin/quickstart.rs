//! A receiver for both senders that sends itself every documented event, and the usual bad
//! deliveries, and shows what becomes of them.
//!
//! `cargo run --bin quickstart` goes on serving afterwards; with `-- --once` it ends, and
//! fails if anything was not as expected. Its inbox is a file in a temporary folder, or in the
//! folder of `--data DIR`, where the next start finds all events handled already. The secrets are
//! for demonstration, unless `CIRCA_WEBHOOK_SECRET` and `CIRCULARO_HMAC_SECRET` are set. `BIND` is
//! where it listens; `127.0.0.1:3000` by default.

use std::{
    env,
    error::Error,
    fs,
    io::{self, ErrorKind},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::SystemTime,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Request, Response, header::HOST},
};
use circa_receiver::{
    Sender, SqliteInbox,
    testing::{CircaSigner, CircularoSigner, Fixture, SignedRequest, fixtures},
};
use circa_receiver_axum::{
    AnyEvent, Event, Receiver, Secret, Secrets,
    event::{DatapointPulled, WebhookTest},
    webhook,
};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    signal::ctrl_c,
};

/// The file of the inbox, in its folder.
const INBOX: &str = "inbox.sqlite";

type BoxError = Box<dyn Error + Send + Sync>;

const CIRCA: Credential =
    Credential { variable: "CIRCA_WEBHOOK_SECRET", demonstration: "whsec_for_demonstration_only_0123456789" };
const CIRCULARO: Credential =
    Credential { variable: "CIRCULARO_HMAC_SECRET", demonstration: "hmac_for_demonstration_only_0123456789" };

#[tokio::main]
async fn main() -> ExitCode {
    let Some(options) = Options::parse(env::args().skip(1)) else {
        eprintln!("usage: quickstart [--once] [--data DIR]");
        return ExitCode::FAILURE;
    };
    match run(options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything was as expected.
async fn run(options: Options) -> Result<bool, BoxError> {
    let data = Data::open(options.data)?;
    let app = app(&data.file())?;
    let listener = listen(options.once).await?;
    let address = listener.local_addr()?;
    println!("listening on {address}: POST /webhooks/circa and /webhooks/circularo\n\nthe handlers ran for:");
    let server = tokio::spawn(async move { axum::serve(listener, app).await });

    let as_expected = demonstrate(address, data.is_known).await?;
    if options.once || !as_expected {
        return Ok(as_expected);
    }
    println!("\nsend one more from another shell:\n{}\n\nserving; stop with Ctrl-C", one_more(address));
    tokio::select! {
        served = server => served??,
        stopped = ctrl_c() => stopped?,
    }
    Ok(true)
}

// --- The receivers: this is all that an application needs. ---

/// An event is stored before it is answered, and a worker runs its handler. Here the answer waits
/// for that run, so that it says how it ended.
fn app(inbox: &Path) -> Result<Router, BoxError> {
    let (circa, circularo) = (Secrets::from(CIRCA.secret()?), Secrets::from(CIRCULARO.secret()?));
    circa.ensure_distinct(&circularo)?;
    let inbox = Arc::new(SqliteInbox::open(inbox)?);
    let circa = Receiver::circa(circa).inbox(Arc::clone(&inbox)).answer_when_handled().build()?;
    let circularo = Receiver::circularo(circularo).inbox(inbox).answer_when_handled().build()?;
    let (circa, circa_worker) = webhook(circa).on(pulled).on(tested).with_worker(());
    let (circularo, circularo_worker) = webhook(circularo).fallback(document).with_worker(());
    for worker in [circa_worker, circularo_worker] {
        tokio::spawn(worker.build()?.run());
    }
    Ok(Router::new().route("/webhooks/circa", circa).route("/webhooks/circularo", circularo))
}

async fn pulled(Event(event): Event<DatapointPulled>) {
    let what = match event.data() {
        DatapointPulled::Property(pull) => format!("{} properties of a material", pull.property_ids().len()),
        DatapointPulled::Process(pull) => format!("{} products of a process", pull.reference_product_ids().len()),
        DatapointPulled::Impact(pull) => format!("{} impacts of a process", pull.characterization_factor_ids().len()),
        DatapointPulled::Material(pull) => format!("{} materials", pull.material_ids().len()),
        _ => "data of a unit not known yet".to_owned(),
    };
    println!("  {}  {}: {what}", event.event_type(), event.id());
}

async fn tested(Event(event): Event<WebhookTest>) {
    println!("  {}  {}: {:?}", event.event_type(), event.id(), event.data().message());
}

async fn document(event: AnyEvent) {
    println!("  {}  document {:?}", event.event_type(), event.document_id().unwrap_or_default());
}

// --- The demonstration. ---

/// A delivery, and what should become of it.
struct Row {
    what: String,
    request: Request<Body>,
    status: u16,
    outcome: &'static str,
}

/// What is known from an earlier start is a duplicate now.
async fn demonstrate(address: SocketAddr, is_known: bool) -> Result<bool, BoxError> {
    let mut table = vec![format!("{:52}  {:6}  {}", "sent", "status", "outcome")];
    let mut as_expected = true;
    for row in rows() {
        let answer = send(address, row.request).await?;
        let status = answer.status().as_u16();
        let outcome = answer.headers().get("circa-receiver-outcome").map_or("refused", |value| text(value));
        let is_again = is_known && (row.outcome, outcome) == ("handled", "duplicate");
        let good = status == row.status && (outcome == row.outcome || is_again);
        let remark = if good { String::new() } else { format!("  EXPECTED {} {}", row.status, row.outcome) };
        table.push(format!("{:52}  {status:6}  {outcome}{remark}", row.what));
        as_expected &= good;
    }
    println!("\n{}\n\n{}", table.join("\n"), if as_expected { "all as expected" } else { "NOT as expected" });
    Ok(as_expected)
}

fn rows() -> Vec<Row> {
    let events = fixtures();
    let mut rows: Vec<_> = events.iter().map(|event| Row::new(event.name(), signed(event), 200, "handled")).collect();
    for event in [&events[0], &events[events.len() - 1]] {
        let tampered = format!("{} ", event.body());
        rows.extend([
            Row::new("the same event again", signed(event), 200, "duplicate"),
            Row::new("forged: signed with another secret", forged(event), 401, "refused"),
            Row::new("tampered: one byte more than was signed", signed(event).tampered(tampered), 401, "refused"),
        ]);
    }
    let an_hour_ago = unix_seconds() - 3_600;
    rows.push(Row::new("stale: signed an hour ago", signed(&events[0]).signed_at(an_hour_ago), 401, "refused"));
    rows
}

impl Row {
    fn new(what: &str, request: SignedRequest, status: u16, outcome: &'static str) -> Self {
        let request = request.build();
        let sender = if request.uri() == path(Sender::CIRCA) { "circa" } else { "circularo" };
        Self { what: format!("{sender:9}  {what}"), request, status, outcome }
    }
}

fn signed(event: &Fixture) -> SignedRequest {
    sign(event, &CIRCA.key(), &CIRCULARO.key())
}

fn forged(event: &Fixture) -> SignedRequest {
    sign(event, b"whsec_of_somebody_else", b"hmac_of_somebody_else")
}

fn sign(event: &Fixture, circa: &[u8], circularo: &[u8]) -> SignedRequest {
    let request = if event.sender() == Sender::CIRCA {
        SignedRequest::circa(&CircaSigner::new(circa), event.body())
    } else {
        SignedRequest::circularo(&CircularoSigner::new(circularo), event.body())
    };
    request.uri(path(event.sender()))
}

fn path(sender: Sender) -> &'static str {
    if sender == Sender::CIRCA { "/webhooks/circa" } else { "/webhooks/circularo" }
}

async fn send(address: SocketAddr, mut request: Request<Body>) -> Result<Response<hyper::body::Incoming>, BoxError> {
    request.headers_mut().insert(HOST, HeaderValue::try_from(address.to_string())?);
    let (mut client, connection) = handshake(TokioIo::new(TcpStream::connect(address).await?)).await?;
    tokio::spawn(connection);
    Ok(client.send_request(request).await?)
}

/// A line for a POSIX shell that signs and sends a fresh event.
fn one_more(address: SocketAddr) -> String {
    let secret = CIRCA.in_shell();
    format!(
        r#"t=$(date +%s); body='{{"id":"evt_'$(openssl rand -hex 16)'","type":"webhook.test","created":'$t',"livemode":false,"data":{{"message":"Hello from the shell"}}}}'; v1=$(printf %s "$t.$body" | openssl dgst -sha256 -hmac {secret} | sed 's/.* //'); curl -i -w '\n' http://{address}/webhooks/circa -H "Circa-Signature: t=$t,v1=$v1" --data-binary "$body""#
    )
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("not text")
}

fn unix_seconds() -> i64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX)
}

/// What was asked for on the command line.
#[derive(Default)]
struct Options {
    once: bool,
    data: Option<PathBuf>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = Self::default();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--once" => options.once = true,
                "--data" => options.data = Some(arguments.next()?.into()),
                _ => return None,
            }
        }
        Some(options)
    }
}

/// The folder of the inbox. A temporary one is removed in the end.
struct Data {
    folder: PathBuf,
    is_temporary: bool,
    /// There is an inbox of an earlier start.
    is_known: bool,
}

impl Data {
    fn open(folder: Option<PathBuf>) -> Result<Self, BoxError> {
        let is_temporary = folder.is_none();
        let name = format!("circa-receiver-quickstart-{}", std::process::id());
        let folder = folder.unwrap_or_else(|| env::temp_dir().join(name));
        if is_temporary {
            // Of a process that had the same number and was killed.
            let _ = fs::remove_dir_all(&folder);
        }
        let unusable = |error| format!("cannot use the folder {}: {error}", folder.display());
        fs::create_dir_all(&folder).map_err(unusable)?;
        let is_known = folder.join(INBOX).exists();
        Ok(Self { folder, is_temporary, is_known })
    }

    fn file(&self) -> PathBuf {
        self.folder.join(INBOX)
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if self.is_temporary {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// A secret from the environment, or one for demonstration.
struct Credential {
    variable: &'static str,
    demonstration: &'static str,
}

impl Credential {
    fn secret(&self) -> Result<Secret, BoxError> {
        Ok(match env::var_os(self.variable) {
            Some(_) => Secret::from_env(self.variable)?,
            None => Secret::new(self.demonstration)?,
        })
    }

    /// The bytes, for signing.
    fn key(&self) -> Vec<u8> {
        env::var_os(self.variable).map_or_else(|| self.demonstration.into(), |secret| secret.into_encoded_bytes())
    }

    /// What is typed into a shell: a secret of one's own is never printed.
    fn in_shell(&self) -> String {
        match env::var_os(self.variable) {
            Some(_) => format!("\"${{{}:?is not set in this shell}}\"", self.variable),
            None => self.demonstration.to_owned(),
        }
    }
}

async fn listen(once: bool) -> Result<TcpListener, BoxError> {
    let bind = env::var("BIND").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    match TcpListener::bind(&bind).await {
        Err(error) if once && error.kind() == ErrorKind::AddrInUse => {
            println!("{bind} is in use: taking a free port instead");
            Ok(TcpListener::bind("127.0.0.1:0").await?)
        }
        bound => Ok(bound.map_err(|error| unusable(&bind, &error))?),
    }
}

fn unusable(bind: &str, error: &io::Error) -> String {
    format!("cannot listen on {bind}: {error}; stop what listens there, or choose a free port: BIND=127.0.0.1:0")
}
