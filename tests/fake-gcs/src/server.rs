//! The server's life: a thread, a socket, and the steps every request goes through.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::account;
use crate::answer::{Answer, Outgoing};
use crate::clock::{Clock, Skew, http_date};
use crate::control::LogLine;
use crate::fault::{Fault, Faults};
use crate::refusal::Refusal;
use crate::request::Call;
use crate::route::{Route, Turn};
use crate::store::Store;

/// Longest body.
const BODY_BYTES_MAX: usize = 1 << 30;

/// All that the server's threads and its owner share.
#[derive(Debug)]
pub(crate) struct House {
    store: Mutex<Store>,
    log: Mutex<Vec<LogLine>>,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    address: SocketAddr,
}

impl House {
    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Vec<LogLine>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running server. It stops, and forgets everything, when it is dropped.
#[derive(Debug)]
pub struct FakeGcs {
    pub(crate) house: Arc<House>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeGcs {
    /// Listens on a free port of loopback and serves, on a thread of its own.
    pub fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))))?;
        let address = listener.local_addr()?;
        let house = Arc::new(House {
            store: Mutex::default(),
            log: Mutex::default(),
            clock: Clock::new(Skew::Checked),
            faults: Faults::default(),
            address,
        });
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&house);
        let thread = std::thread::Builder::new().name("fake-gcs".to_owned()).spawn(move || {
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

impl Drop for FakeGcs {
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
        tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
        );
    }
}

/// The connection is closed without an answer.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("the connection is cut")
    }
}

impl std::error::Error for Cut {}

async fn serve(house: Arc<House>, request: Request<Incoming>) -> Result<Response<Outgoing>, Cut> {
    let (head, body) = request.into_parts();
    let call = Call::read(&head);
    let route = call.as_ref().ok().and_then(Route::of);
    let (name, key) = route.as_ref().map_or(("unknown", ""), |route| (route.name, &route.key));
    let line = |status| (head.method.as_str().to_owned(), name.to_owned(), key.to_owned(), status);
    let is_part = name == "objects.insert.part" && head.method == "PUT";
    let length = head.headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
    let was_cut = is_part && length.unwrap_or(0) > 1 && house.faults.strikes(Fault::CutPart);
    let limit = if was_cut { length.unwrap_or(0) / 2 } else { BODY_BYTES_MAX };
    let outcome = match (call, &route, received(body, limit, was_cut).await) {
        (Err(refusal), ..) => Err(refusal),
        (_, None, _) => Err(Refusal::not_built(&format!("{} {}", head.method, head.uri.path()))),
        (_, _, None) => Err(Refusal::invalid("the body is too long or broke off")),
        (Ok(call), Some(route), Some(body)) => turn(&house, &call, route, body, was_cut),
    };
    let is_done = outcome.is_ok();
    let answer = outcome.unwrap_or_else(|refusal| Answer::refused(&refusal));
    if was_cut || (is_part && is_done && house.faults.strikes(Fault::CutAnswer)) {
        house.log().push(line(0));
        return Err(Cut);
    }
    house.log().push(line(answer.status));
    Ok(answer.with("date", http_date(house.clock.now())).into_response())
}

/// The body, as far as it may go; none if it is longer or breaks off.
async fn received(mut body: Incoming, limit: usize, was_cut: bool) -> Option<Bytes> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        bytes.extend_from_slice(&data);
        if bytes.len() >= limit {
            bytes.truncate(limit);
            return was_cut.then(|| bytes.freeze());
        }
    }
    Some(bytes.freeze())
}

fn turn(house: &House, call: &Call, route: &Route, body: Bytes, was_cut: bool) -> Result<Answer, Refusal> {
    if house.faults.strikes(Fault::Storm503) {
        return Err(Refusal::new(503, "backendError", "We encountered an internal error. Please try again."));
    }
    if house.faults.strikes(Fault::TooMany429) {
        let text = "The rate of change requests to the object exceeds the rate limit.";
        return Err(Refusal::new(429, "rateLimitExceeded", text));
    }
    let now = house.clock.now();
    let mut store = house.store();
    let asker = account::prove(call.header("authorization"), &store.accounts, now, house.clock.skew())?;
    let mut turn = Turn {
        call,
        store: &mut store,
        faults: &house.faults,
        address: house.address,
        now,
        asker,
        bucket: route.bucket.clone(),
        key: route.key.clone(),
        body,
        was_cut,
    };
    (route.handler)(&mut turn)
}
