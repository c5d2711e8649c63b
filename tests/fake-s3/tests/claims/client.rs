//! A client of a few lines: signs a request, sends it on a connection of its own, reads the answer.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use base64::Engine as _;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use fake_s3::{Bucket, FakeS3, Key, Options, Skew, Statement};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// A server with a bucket `ice` that locks, and its admin.
pub(crate) fn server() -> (FakeS3, Client) {
    let server = FakeS3::start(Options { skew: Skew::Ignored, ..Options::default() }).unwrap();
    server.add_bucket("ice", Bucket { lock: true, ..Bucket::default() });
    let client = Client::of(&server, server.add_admin());
    (server, client)
}

pub(crate) fn user(server: &FakeS3, statements: Vec<Statement>) -> Client {
    Client::of(server, server.add_user("someone", statements))
}

pub(crate) struct Client {
    pub(crate) address: String,
    pub(crate) key: Key,
    pub(crate) region: &'static str,
    /// How far its clock is from the real one.
    pub(crate) skew: TimeDelta,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// What stands between the first `<name>` and its end.
    pub(crate) fn xml(&self, name: &str) -> String {
        self.all(name).into_iter().next().unwrap_or_default()
    }

    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let ends = text.split(open.as_str()).skip(1);
        ends.map(|rest| rest.split(close.as_str()).next().unwrap().to_owned()).collect()
    }

    /// Status and error code.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status, self.xml("Code"))
    }

    pub(crate) fn version(&self) -> String {
        self.headers["x-amz-version-id"].clone()
    }
}

pub(crate) fn days(count: i64) -> String {
    (Utc::now() + TimeDelta::days(count)).to_rfc3339_opts(SecondsFormat::Secs, true)
}

pub(crate) fn crc32(body: &[u8]) -> String {
    let value = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, body) as u32;
    base64::engine::general_purpose::STANDARD.encode(value.to_be_bytes())
}

pub(crate) fn sha256(body: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(Sha256::digest(body))
}

pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// What was signed, for those who sign on.
pub(crate) struct Signing {
    pub(crate) key: Vec<u8>,
    pub(crate) date: String,
    pub(crate) scope: String,
    pub(crate) signature: String,
}

impl Client {
    pub(crate) fn of(server: &FakeS3, key: Key) -> Self {
        let address = server.endpoint().strip_prefix("http://").unwrap().to_owned();
        Self { address, key, region: "us-east-1", skew: TimeDelta::zero() }
    }

    /// `path` is `bucket/key?name=value&name`, plain letters only.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.try_send(method, path, headers, body).unwrap()
    }

    pub(crate) fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Reply> {
        let (head, _) = self.head(method, path, headers, &hex(Sha256::digest(body)), body.len());
        self.raw(&head, body)
    }

    /// A put or post with the CRC-32 of its body announced.
    pub(crate) fn summed(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let sum = crc32(body);
        let mut all = headers.to_vec();
        all.push(("x-amz-checksum-crc32", &sum));
        self.send(method, path, &all, body)
    }

    /// Puts an object under a lock of 92 days and returns its version.
    pub(crate) fn locked(&self, path: &str, mode: &str) -> String {
        let until = days(92);
        let headers =
            [("x-amz-object-lock-mode", mode), ("x-amz-object-lock-retain-until-date", until.as_str())];
        let reply = self.summed("PUT", path, &headers, b"cold");
        assert_eq!(reply.error(), (200, String::new()));
        reply.version()
    }

    pub(crate) fn head(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        payload: &str,
        length: usize,
    ) -> (String, Signing) {
        let now: DateTime<Utc> = Utc::now() + self.skew;
        let (date, day) = (now.format("%Y%m%dT%H%M%SZ").to_string(), now.format("%Y%m%d").to_string());
        let (plain, query) = path.split_once('?').unwrap_or((path, ""));
        let mut pairs: Vec<String> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") })
            .collect();
        pairs.sort();
        let mut all: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        all.push(("host".to_owned(), self.address.clone()));
        all.push(("x-amz-content-sha256".to_owned(), payload.to_owned()));
        all.push(("x-amz-date".to_owned(), date.clone()));
        all.sort();
        let names = all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
        let lines: String = all.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let canonical = format!("{method}\n/{plain}\n{}\n{lines}\n{names}\n{payload}", pairs.join("&"));
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(Sha256::digest(canonical)));
        let mut key = format!("AWS4{}", self.key.secret).into_bytes();
        for step in [day.as_str(), self.region, "s3", "aws4_request"] {
            key = mac(&key, step);
        }
        let signature = hex(mac(&key, &text));
        let credential = format!("{}/{scope}", self.key.access);
        let mut head =
            format!("{method} /{path} HTTP/1.1\r\ncontent-length: {length}\r\nconnection: close\r\n");
        head.push_str(&format!(
            "authorization: AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}\r\n"
        ));
        for (name, value) in &all {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        (head + "\r\n", Signing { key, date, scope, signature })
    }

    pub(crate) fn raw(&self, head: &str, body: &[u8]) -> io::Result<Reply> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(cut)?;
        let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = text.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(':').unwrap());
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
        Ok(Reply { status, headers, body: bytes[end + 4..].to_vec() })
    }
}
