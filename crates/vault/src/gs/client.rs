//! One call of the JSON API: who asks, how long is waited, how much of an answer is read, and how often it is asked again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_RANGE, DATE, HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::redirect::Policy as Redirects;
use reqwest::{Body, Method, Response, Url};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::fault::Fault;
use super::key::Account;
use super::retry::Tries;
use crate::clock::SeenClock;
use crate::pace::Pace;

const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// One try of a call that carries no object.
const CALL_WAIT: Duration = Duration::from_secs(60);
/// An upload slower than this many bytes a second is given up, and tried again.
const SLOWEST_BYTES_PER_SECOND: u64 = 16 * 1024;
/// The last part of an upload, on which a provider may work for minutes.
const FINISH_WAIT: Duration = Duration::from_secs(600);
/// Longest answer that is read into memory. A page of a listing has at most 500 items; a name of 1,024 control characters, each written as six
/// bytes, and what stands around it come to less than 7 KiB.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// A call. It can be made again.
#[derive(Debug, Clone)]
pub(super) struct Call {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    wait: Duration,
}

impl Call {
    pub(super) fn new(method: Method, url: Url) -> Call {
        let mut headers = HeaderMap::new();
        // Whoever may change metadata could else have a body expanded on its way.
        headers.insert(ACCEPT_ENCODING, http::HeaderValue::from_static("gzip"));
        Call { method, url, headers, body: Bytes::new(), wait: CALL_WAIT }
    }

    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Call {
        // Values are numbers, dates and base64 of our own making.
        if let Ok(value) = value.parse() {
            self.headers.insert(name, value);
        }
        self
    }

    /// With a part of an object as its body.
    pub(super) fn part(mut self, range: &str, body: Bytes) -> Call {
        self.wait = FINISH_WAIT + Duration::from_secs(body.len() as u64 / SLOWEST_BYTES_PER_SECOND);
        self.body = body;
        self.header(CONTENT_RANGE, range)
    }

    pub(super) fn json(mut self, document: &serde_json::Value) -> Call {
        self.body = document.to_string().into();
        self.header(http::header::CONTENT_TYPE, "application/json; charset=UTF-8")
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    pub(super) fn document<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_json::from_slice(&self.body)
            .map_err(|_| Fault::of_nonsense("the store's answer is not of the form it should have"))
    }

    /// The fault that an answer without success means.
    pub(super) fn fault(&self) -> Fault {
        let after = self.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        Fault::of_answer(self.status, after, &self.body)
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The way to the store.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    account: Account,
    clock: Arc<SeenClock>,
    pace: Option<Arc<Pace>>,
}

impl Client {
    pub(super) fn new(
        account: Account,
        clock: Arc<SeenClock>,
        pace: Option<Arc<Pace>>,
    ) -> Result<Client, reqwest::Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_WAIT)
            // A token goes where the settings say, and nowhere else.
            .redirect(Redirects::none())
            .no_proxy()
            .user_agent(concat!("firn/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Client { http, account, clock, pace })
    }

    /// One try; the body is not read yet.
    pub(super) async fn open(&self, call: &Call) -> Result<Response, Fault> {
        let mut request = self.http.request(call.method.clone(), call.url.clone());
        request = request.headers(call.headers.clone()).headers(self.account.headers().await?);
        let body = match &self.pace {
            Some(pace) if call.headers.contains_key(CONTENT_RANGE) => {
                Body::wrap(pace.body(call.body.clone()))
            }
            _ => Body::from(call.body.clone()),
        };
        let sent = timeout(call.wait, request.body(body).send()).await;
        let response = sent.map_err(|_| too_slow())?.map_err(Fault::of_client)?;
        if let Some(date) = response.headers().get(DATE).and_then(|value| value.to_str().ok()) {
            self.clock.see(date);
        }
        Ok(response)
    }

    /// One try, whatever the answer.
    pub(super) async fn once(&self, call: &Call) -> Result<Answer, Fault> {
        let response = self.open(call).await?;
        read(response).await
    }

    /// Until the answer is a success, or asking again is of no use.
    pub(super) async fn ask(&self, call: &Call) -> Result<Answer, Fault> {
        let mut tries = Tries::default();
        loop {
            let fault = match self.once(call).await {
                Ok(answer) if answer.is_success() => return Ok(answer),
                Ok(answer) => answer.fault(),
                Err(fault) => fault,
            };
            tries.wait(fault).await?;
        }
    }

    /// As [`Client::ask`], with the body left to be read.
    pub(super) async fn ask_open(&self, call: &Call) -> Result<Response, Fault> {
        let mut tries = Tries::default();
        loop {
            let fault = match self.open(call).await {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => match read(response).await {
                    Ok(answer) => answer.fault(),
                    Err(fault) => fault,
                },
                Err(fault) => fault,
            };
            tries.wait(fault).await?;
        }
    }
}

fn too_slow() -> Fault {
    Fault::of_silence(std::io::ErrorKind::TimedOut.into())
}

/// Reads an answer that must be short.
async fn read(mut response: Response) -> Result<Answer, Fault> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    loop {
        let chunk = timeout(CALL_WAIT, response.chunk()).await;
        let Some(chunk) = chunk.map_err(|_| too_slow())?.map_err(Fault::of_client)? else { break };
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Fault::of_nonsense("the store's answer is longer than any should be"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body })
}
