//! The server's life: a thread, a socket, and the steps every request goes through.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::answer::{Answer, Refusal};
use crate::fault::{Fault, Faults};
use crate::request::Call;
use crate::route::{Route, Turn};
use crate::signature;
use crate::store::Store;

/// Longest body that is taken.
const BODY_BYTES_MAX: usize = 256 << 20;

/// All that the server's threads and its owner share.
#[derive(Debug, Default)]
pub(crate) struct House {
    store: Mutex<Store>,
    log: Mutex<Vec<(String, u16)>>,
    pub(crate) faults: Faults,
    pub(crate) offset_seconds: AtomicI64,
    pub(crate) skew_ignored: AtomicBool,
}

impl House {
    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Vec<(String, u16)>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        Utc::now() + TimeDelta::seconds(self.offset_seconds.load(Ordering::SeqCst))
    }
}

/// A running server. It stops, and forgets everything, when it is dropped.
#[derive(Debug)]
pub struct FakeGlacier {
    pub(crate) house: Arc<House>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeGlacier {
    /// Listens on a free port of this machine, and serves on a thread of its own.
    pub fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))))?;
        let address = listener.local_addr()?;
        let house = Arc::new(House::default());
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&house);
        let thread = std::thread::Builder::new().name("fake-glacier".to_owned()).spawn(move || {
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

impl Drop for FakeGlacier {
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
        let builder = hyper::server::conn::http1::Builder::new();
        tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
    }
}

async fn serve(house: Arc<House>, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let gone = |_| io::Error::from(io::ErrorKind::ConnectionReset);
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(gone)?.to_bytes();
    let call = Call::new(head, body);
    let route = Route::of(&call);
    let name = route.as_ref().map_or("Unknown", |(route, ..)| route.name);
    let answer = steps(&house, &call, route).unwrap_or_else(|refusal| refusal.answer());
    house.log().push((name.to_owned(), answer.status));
    let makes = matches!(name, "UploadArchive" | "CompleteMultipartUpload");
    if makes && answer.status == 201 && house.faults.strike(Fault::CutAnswer) {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    let date = house.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    Ok(answer.with("date", date).into_response())
}

fn steps(house: &House, call: &Call, route: Option<(Route, String, String)>) -> Result<Answer, Refusal> {
    if house.faults.strike(Fault::ServerError503) {
        return Err(Refusal::new(503, "ServiceUnavailableException", "Service is unable to handle request."));
    }
    let now = house.now();
    let mut store = house.store();
    let checked = (!house.skew_ignored.load(Ordering::SeqCst)).then_some(now);
    let access = signature::verify(call, checked, |access| Some(store.users.get(access)?.secret.clone()))?;
    if call.header("x-amz-glacier-version") != Some("2012-06-01") {
        return Err(Refusal::new(
            400,
            "MissingParameterValueException",
            "Required header missing: x-amz-glacier-version",
        ));
    }
    let unknown = || Refusal::new(501, "NotImplemented", format!("{} {}", call.method, call.path));
    let (route, vault, id) = route.ok_or_else(unknown)?;
    let mut turn = Turn { call, store: &mut store, faults: &house.faults, now, vault, id };
    route.answer(&mut turn, &access)
}
