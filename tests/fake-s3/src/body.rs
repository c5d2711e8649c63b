//! The body of a request: received once, checked against everything the client announced about it.

use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::checksum::{Algorithm, Checksum, Kind, Running, base64, from_base64, hex};
use crate::chunked::Chunked;
use crate::refusal::Refusal;
use crate::request::Call;
use crate::segments::{Collector, Segments};
use crate::signature::Payload;

/// Largest body that is no object data.
pub(crate) const DOCUMENT_BYTES_MAX: u64 = 4 << 20;
/// Largest single put, and largest part: 5 GiB.
pub(crate) const DATA_BYTES_MAX: u64 = 5 << 30;

/// Why there is no body.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The client went away.
    Gone,
    Refused(Refusal),
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A body that is whole.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) data: Segments,
    /// What the client announced, and what was right unless `mismatch` says otherwise.
    pub(crate) checksum: Option<Checksum>,
    /// Hex of the MD5 the client announced.
    pub(crate) md5: Option<String>,
    /// An announced checksum that was wrong.
    pub(crate) mismatch: Option<Refusal>,
}

impl Received {
    /// Whether anything was announced that protects the bytes on their way.
    pub(crate) fn is_protected(&self) -> bool {
        self.checksum.is_some() || self.md5.is_some()
    }
}

/// Receives a body of at most `bytes_max`.
pub(crate) async fn receive(
    mut body: Incoming,
    call: &Call,
    payload: &Payload,
    bytes_max: u64,
) -> Result<Received, Failed> {
    let announced = Announced::read(call)?;
    let mut chunked = match payload {
        Payload::ChunksSigned(chain) => Some(Chunked::new(Some(chain.clone()))),
        Payload::ChunksUnsigned => Some(Chunked::new(None)),
        Payload::Unsigned | Payload::Whole(_) => None,
    };
    let length = length(call, chunked.is_some())?;
    if length > bytes_max {
        let text = "Your proposed upload exceeds the maximum allowed size";
        return Err(Refusal::new(400, "EntityTooLarge", text).into());
    }
    let mut collector = Collector::new(length);
    let mut running = announced.algorithm.map(Running::new);
    let mut md5 = announced.md5.as_ref().map(|_| Running::new(Algorithm::Md5));
    let mut sha256 = matches!(payload, Payload::Whole(_)).then(|| Running::new(Algorithm::Sha256));
    let mut take = |data: &[u8]| {
        for digest in [&mut running, &mut md5, &mut sha256].into_iter().flatten() {
            digest.update(data);
        }
        collector.write(data);
    };
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failed::Gone)?;
        let Some(data) = frame.data_ref() else { continue };
        match &mut chunked {
            Some(chunked) => chunked.feed(data, &mut take)?,
            None => take(data),
        }
    }
    if collector.length() != length {
        return Err(Refusal::incomplete().into());
    }
    if let (Payload::Whole(expected), Some(sha256)) = (payload, sha256)
        && hex(&sha256.finish()) != *expected
    {
        let text = "The provided 'x-amz-content-sha256' header does not match what was computed.";
        return Err(Refusal::new(400, "XAmzContentSHA256Mismatch", text).into());
    }
    let trailers = chunked.map(Chunked::finish).transpose()?.unwrap_or_default();
    Ok(announced.judge(collector.finish(), running, md5, &trailers)?)
}

/// Reads and forgets a body, so that a client still sending sees the answer; at most so much of it.
pub(crate) async fn drain(mut body: Incoming, bytes_max: usize) {
    let mut seen = 0;
    while let Some(Ok(frame)) = body.frame().await {
        seen += frame.data_ref().map_or(0, bytes::Bytes::len);
        if seen > bytes_max {
            return;
        }
    }
}

fn length(call: &Call, is_chunked: bool) -> Result<u64, Refusal> {
    let name = if is_chunked { "x-amz-decoded-content-length" } else { "content-length" };
    match call.header(name) {
        Some(text) => text.parse().map_err(|_| Refusal::argument(format!("{name} is no number"))),
        None if call.method == "PUT" || call.headers.contains_key("transfer-encoding") => {
            Err(Refusal::new(411, "MissingContentLength", "You must provide the Content-Length HTTP header."))
        }
        None => Ok(0),
    }
}

/// What the headers say about the body.
struct Announced {
    algorithm: Option<Algorithm>,
    /// None: it comes as a trailer.
    value: Option<String>,
    md5: Option<Vec<u8>>,
}

impl Announced {
    fn read(call: &Call) -> Result<Self, Refusal> {
        let mut found: Vec<(Algorithm, Option<String>)> = call
            .headers_from("x-amz-checksum-")
            .filter_map(|(name, value)| Some((Algorithm::of_header(name)?, Some(value.to_owned()))))
            .collect();
        // The checksum of a completion is about the object, not about this body.
        if call.method == "POST" && call.parameter("uploadId").is_some() {
            found.clear();
        }
        if let Some(trailer) = call.header("x-amz-trailer") {
            found.push((Algorithm::of_header(trailer).ok_or_else(|| Refusal::not_built(trailer))?, None));
        }
        if found.len() > 1 {
            return Err(Refusal::invalid(
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
            ));
        }
        let first = found.pop();
        if first.is_none() && call.header("x-amz-sdk-checksum-algorithm").is_some() && call.method == "PUT" {
            let text = "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.";
            return Err(Refusal::invalid(text));
        }
        let md5 = call.header("content-md5").map(|text| {
            let bad = || Refusal::new(400, "InvalidDigest", "The Content-MD5 you specified was invalid.");
            from_base64(text).filter(|bytes| bytes.len() == 16).ok_or_else(bad)
        });
        let (algorithm, value) = first.unzip();
        Ok(Self { algorithm, value: value.flatten(), md5: md5.transpose()? })
    }

    fn judge(
        self,
        data: Segments,
        running: Option<Running>,
        md5: Option<Running>,
        trailers: &[(String, String)],
    ) -> Result<Received, Refusal> {
        let mut mismatch = None;
        let mut checksum = None;
        if let (Some(algorithm), Some(running)) = (self.algorithm, running) {
            let header = algorithm.header();
            let trailer =
                || trailers.iter().find(|(name, _)| *name == header).map(|(_, value)| value.clone());
            let value = self.value.or_else(trailer);
            let value = value.ok_or_else(|| {
                Refusal::new(400, "MalformedTrailerError", "The announced trailer is missing.")
            })?;
            if base64(&running.finish()) != value {
                let text =
                    format!("The {} you specified did not match the calculated checksum.", algorithm.name());
                mismatch = Some(Refusal::new(400, "BadDigest", text));
            }
            checksum = Some(Checksum { algorithm, kind: Kind::FullObject, value });
        }
        if let (Some(expected), Some(md5)) = (&self.md5, md5)
            && md5.finish() != *expected
        {
            mismatch = Some(Refusal::new(
                400,
                "BadDigest",
                "The Content-MD5 you specified did not match what we received.",
            ));
        }
        Ok(Received { data, checksum, md5: self.md5.map(|bytes| hex(&bytes)), mismatch })
    }
}
