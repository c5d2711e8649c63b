//! A client of a few lines: signs a request, sends it on a connection of its own, reads the answer.

use std::io::{Read, Write};
use std::net::TcpStream;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The two halves of a user's credentials.
pub(crate) struct Key {
    pub(crate) access: String,
    pub(crate) secret: String,
}

/// A request. Path and query are encoded already.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a str,
}

/// Percent signs for all but unreserved letters.
pub(crate) fn encoded(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Sends it signed; gives back status and body.
pub(crate) fn send(port: u16, key: &Key, request: &Request<'_>) -> (u16, String) {
    let Request { method, path, query, body, .. } = request;
    let now = chrono::Utc::now().format("%Y%m%dT%H%M%SZ").to_string();
    let sum = hex(Sha256::digest(body));
    let mut headers: Vec<(&str, String)> = vec![
        ("host", format!("127.0.0.1:{port}")),
        ("x-amz-content-sha256", sum.clone()),
        ("x-amz-date", now.clone()),
    ];
    headers.extend(request.headers.iter().map(|(name, value)| (*name, (*value).to_owned())));
    headers.sort();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let mut pairs: Vec<String> =
        query.split('&').filter(|pair| !pair.is_empty()).map(str::to_owned).collect();
    pairs.iter_mut().filter(|pair| !pair.contains('=')).for_each(|pair| pair.push('='));
    pairs.sort();
    let canonical = format!("{method}\n{path}\n{}\n{lines}\n{names}\n{sum}", pairs.join("&"));
    let scope = format!("{}/us-east-1/s3/aws4_request", &now[..8]);
    let text = format!("AWS4-HMAC-SHA256\n{now}\n{scope}\n{}", hex(Sha256::digest(&canonical)));
    let first = format!("AWS4{}", key.secret).into_bytes();
    let signing = scope.split('/').fold(first, |key, part| mac(&key, part));
    let signature = hex(mac(&signing, &text));
    let access = &key.access;
    let target = if query.is_empty() { (*path).to_owned() } else { format!("{path}?{query}") };
    let mut head =
        format!("{method} {target} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in &headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!(
        "authorization: AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={names}, Signature={signature}\r\n\r\n"
    ));
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
}
