//! The server's life: a thread, a socket, and the steps every request goes through.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::answer::{Answer, Cut, Outgoing};
use crate::body::{self, Failed, Received};
use crate::clock::{Skew, http_date};
use crate::fault::Fault;
use crate::house::House;
use crate::refusal::Refusal;
use crate::request::Call;
use crate::route::Route;
use crate::signature::{self, Signed};
use crate::store::Token;
use crate::turn::Turn;

/// How much of a refused body is read, so that its sender sees why.
const DRAINED_BYTES_MAX: usize = 64 << 20;

/// Most that is read at once: small enough to stay in a core's cache until it is copied.
const READ_BYTES_MAX: usize = 256 << 10;

/// How to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen: loopback only. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The region that signatures must name.
    pub region: String,
    /// Whether clients' clocks are held against the server's.
    pub skew: Skew,
    /// Whether signatures over bodies are checked.
    pub payload: PayloadHash,
}

/// Whether the SHA-256 that a signature gives for a body, or for its chunks, is held against it. Announced checksums always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PayloadHash {
    /// As AWS does.
    #[default]
    Checked,
    /// For benchmarks, where the server shares the client's cores.
    Ignored,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            region: "us-east-1".to_owned(),
            skew: Skew::Checked,
            payload: PayloadHash::Checked,
        }
    }
}

/// A running server. It stops, and forgets everything, when it is dropped.
#[derive(Debug)]
pub struct FakeS3 {
    pub(crate) house: Arc<House>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeS3 {
    /// Listens and serves, on a thread of its own.
    pub fn start(options: Options) -> io::Result<Self> {
        if !options.listen.ip().is_loopback() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "only loopback is served"));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind(options.listen))?;
        let address = listener.local_addr()?;
        let house = Arc::new(House::new(options));
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&house);
        let thread = std::thread::Builder::new().name("fake-s3".to_owned()).spawn(move || {
            runtime.spawn(accept(listener, serving));
            drop(runtime.block_on(stopped));
            runtime.shutdown_background();
        })?;
        Ok(Self { house, address, stop: Some(stop), thread: Some(thread) })
    }

    /// `http://127.0.0.1:port`
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for FakeS3 {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn accept(listener: TcpListener, house: Arc<House>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        drop(stream.set_nodelay(true));
        let house = Arc::clone(&house);
        let service = service_fn(move |request| serve(Arc::clone(&house), request));
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.max_buf_size(READ_BYTES_MAX);
        tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
    }
}

async fn serve(house: Arc<House>, request: Request<Incoming>) -> Result<Response<Outgoing>, Cut> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let method = head.method.as_str().to_owned();
    let (name, key, outcome) = match Call::read(&head) {
        Ok(call) => {
            let route = Route::of(&call);
            let outcome = steps(&house, &call, route, body).await;
            (route.map_or("Unknown", |route| route.name), call.key, outcome)
        }
        Err(refusal) => ("Unknown", path.clone(), Err(Failed::Refused(refusal))),
    };
    let line = |status| (method.clone(), name.to_owned(), key.clone(), status);
    let answer = match outcome {
        Ok(answer) => answer,
        Err(Failed::Refused(refusal)) => Answer::refused(refusal, &path),
        Err(Failed::Gone) => {
            house.log().push(line(0));
            return Err(Cut);
        }
    };
    house.log().push(line(answer.status));
    let serial = house.log().len();
    let answer =
        answer.with("date", http_date(house.clock.now())).with("x-amz-request-id", format!("{serial:016X}"));
    Ok(answer.with("server", "AmazonS3").into_response(&method))
}

/// From head to answer: the faults of the house, the signature, the body, the turn.
async fn steps(house: &House, call: &Call, route: Option<&Route>, body: Incoming) -> Result<Answer, Failed> {
    house.trap.pass();
    let (signed, route) = match admit(house, call, route) {
        Ok(admitted) => admitted,
        Err(refusal) => {
            body::drain(body, DRAINED_BYTES_MAX).await;
            let is_unsigned_document =
                call.method == "PUT" && call.key.is_empty() && call.header("authorization").is_none();
            if is_unsigned_document && house.faults.strike(Fault::MalformedBeforeDenied).is_some() {
                return Err(Refusal::malformed_xml().into());
            }
            return Err(refusal.into());
        }
    };
    if route.name == "UploadPart" && house.faults.strike(Fault::CutPart).is_some() {
        let half =
            call.header("content-length").and_then(|length| length.parse::<usize>().ok()).unwrap_or(0) / 2;
        body::drain(body, half).await;
        return Err(Failed::Gone);
    }
    let bytes_max = if route.takes_data() { body::DATA_BYTES_MAX } else { body::DOCUMENT_BYTES_MAX };
    let mut received = body::receive(body, call, &signed.payload, bytes_max).await?;
    if route.takes_data()
        && received.data.length() > 0
        && house.faults.strike(Fault::WrongChecksumAccepted).is_some()
    {
        let middle = received.data.length() / 2;
        received.data.flip(middle, 0);
        received.mismatch = None;
    }
    if let Some(refusal) = received.mismatch.take() {
        return Err(refusal.into());
    }
    house.trap.pass();
    let answer = turn(house, call, route, received, signed.access)?;
    house.trap.pass();
    let stores = matches!(route.name, "CompleteMultipartUpload" | "PutObject");
    if stores && house.faults.strike(Fault::CutAnswer).is_some() {
        return Err(Failed::Gone);
    }
    if route.name == "CreateMultipartUpload" && house.faults.strike(Fault::CutCreation).is_some() {
        return Err(Failed::Gone);
    }
    if route.name == "GetObject" && house.faults.strike(Fault::CutGet).is_some() {
        return Ok(answer.cut());
    }
    Ok(answer)
}

fn admit<'a>(house: &House, call: &Call, route: Option<&'a Route>) -> Result<(Signed, &'a Route), Refusal> {
    if house.faults.strike(Fault::ServerError503Storm).is_some() {
        return Err(Refusal::new(503, "ServiceUnavailable", "Service is unable to handle request."));
    }
    if house.faults.strike(Fault::SlowDown429).is_some() {
        return Err(
            Refusal::new(429, "SlowDown", "Please reduce your request rate.").with("retry-after", "1")
        );
    }
    let (now, skew) = (house.clock.now(), house.clock.skew());
    let secret = |access: &str| house.store().users.get(access).map(|user| user.secret.clone());
    let mut signed = signature::verify(call, now, skew, &house.region, secret)?;
    let token = house.store().users.get(&signed.access).and_then(|user| user.token.clone());
    match (token, call.header("x-amz-security-token")) {
        (None, None) => {}
        (Some(Token::Good(token)), Some(sent)) if token == sent => {}
        (Some(Token::Expired), Some(_)) => {
            return Err(Refusal::new(400, "ExpiredToken", "The provided token has expired."));
        }
        _ => {
            let text = "The provided token is malformed or otherwise invalid.";
            return Err(Refusal::new(400, "InvalidToken", text));
        }
    }
    if house.payload == PayloadHash::Ignored {
        signed.payload = signed.payload.unchecked();
    }
    if route.is_none() && call.method == "PUT" && house.faults.strike(Fault::SettingsUnknown).is_some() {
        return Err(Refusal::argument("no such location"));
    }
    let route = route.ok_or_else(|| Refusal::not_built(&format!("{} with this query", call.method)))?;
    Ok((signed, route))
}

fn turn(
    house: &House,
    call: &Call,
    route: &Route,
    body: Received,
    access: String,
) -> Result<Answer, Refusal> {
    let now = house.clock.now();
    let mut store = house.store();
    let (faults, region) = (&house.faults, house.region.as_str());
    let mut turn =
        Turn { call, store: &mut store, now, body, access, region, faults, struck: HashSet::new() };
    route.answer(&mut turn)
}
