use crate::client::{Client, Signing, crc32, hex, mac, server, sha256};
use fake_s3::{Bucket, FakeS3, Options, PayloadHash, Versioning};
use sha2::{Digest as _, Sha256};

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn what_was_put_comes_back_with_its_metadata_and_checksum() {
    let (_server, client) = server();
    let headers = [("x-amz-meta-host", "web01"), ("content-type", "application/pgp")];
    let put = client.summed("PUT", "ice/a/b", &headers, b"0123456789");
    assert_eq!(put.status, 200);
    let get = client.send("GET", "ice/a/b", &[("x-amz-checksum-mode", "ENABLED")], b"");
    assert_eq!((get.status, get.body.as_slice()), (200, b"0123456789".as_slice()));
    assert_eq!(get.headers["x-amz-meta-host"], "web01");
    assert_eq!(get.headers["content-type"], "application/pgp");
    assert_eq!(get.headers["x-amz-checksum-crc32"], crc32(b"0123456789"));
    assert_eq!(get.headers["x-amz-version-id"], put.version());
    let head = client.send("HEAD", "ice/a/b", &[], b"");
    assert_eq!((head.headers["content-length"].as_str(), head.body.len()), ("10", 0));
}

#[test]
fn ranges_are_parts_of_the_whole() {
    let (_server, client) = server();
    client.summed("PUT", "ice/a", &[], b"0123456789");
    for (range, status, body, place) in [
        ("bytes=2-4", 206, "234", "bytes 2-4/10"),
        ("bytes=7-", 206, "789", "bytes 7-9/10"),
        ("bytes=-2", 206, "89", "bytes 8-9/10"),
        ("bytes=8-100", 206, "89", "bytes 8-9/10"),
    ] {
        let reply = client.send("GET", "ice/a", &[("range", range)], b"");
        assert_eq!((reply.status, String::from_utf8(reply.body).unwrap().as_str()), (status, body));
        assert_eq!(reply.headers["content-range"], place);
    }
    assert_eq!(
        client.send("GET", "ice/a", &[("range", "bytes=10-")], b"").error(),
        (416, "InvalidRange".into())
    );
}

#[test]
fn a_wrong_checksum_is_refused_and_nothing_is_stored() {
    let (server, client) = server();
    let (crc, sha) = (crc32(b"other"), sha256(b"other"));
    for header in [
        ("x-amz-checksum-crc32", crc.as_str()),
        ("x-amz-checksum-sha256", sha.as_str()),
        ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="),
    ] {
        assert_eq!(client.send("PUT", "ice/a", &[header], b"cold").error(), (400, "BadDigest".into()));
    }
    assert_eq!(server.keys("ice"), Vec::<String>::new());
}

#[test]
fn a_body_other_than_the_signed_one_is_refused() {
    let (_server, client) = server();
    let (head, _) = client.head("PUT", "ice/a", &[], &hex(Sha256::digest(b"cold")), 4);
    assert_eq!(client.raw(&head, b"warm").unwrap().error(), (400, "XAmzContentSHA256Mismatch".into()));
}

/// A body of signed chunks with its checksum as a trailer; `spoil` turns a letter of the second chunk over after it was signed.
fn chunked(signing: &Signing, chunks: &[&str], sum: &str, spoil: bool) -> Vec<u8> {
    let mut last = signing.signature.clone();
    let mut sign = |kind: &str, rest: &str| {
        let text = format!("AWS4-HMAC-SHA256-{kind}\n{}\n{}\n{last}\n{rest}", signing.date, signing.scope);
        last = hex(mac(&signing.key, &text));
        last.clone()
    };
    let mut body = String::new();
    for (place, chunk) in chunks.iter().chain(&[""]).enumerate() {
        let signature = sign("PAYLOAD", &format!("{EMPTY}\n{}", hex(Sha256::digest(chunk))));
        let sent = if spoil && place == 1 { chunk.to_uppercase() } else { (*chunk).to_owned() };
        let end = if chunk.is_empty() { "" } else { "\r\n" };
        body.push_str(&format!("{:x};chunk-signature={signature}\r\n{sent}{end}", chunk.len()));
    }
    let trailer = format!("x-amz-checksum-crc32:{sum}");
    let signature = sign("TRAILER", &hex(Sha256::digest(format!("{trailer}\n"))));
    body.push_str(&format!("{trailer}\r\nx-amz-trailer-signature:{signature}\r\n\r\n"));
    body.into_bytes()
}

#[test]
fn signed_chunks_and_their_trailer_are_held_against_their_signatures() {
    let (server, client) = server();
    let send = |sum: &str, spoil| {
        let headers = [
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "8"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
        ];
        let payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
        let (_, signing) = client.head("PUT", "ice/a", &headers, payload, 0);
        let length = chunked(&signing, &["cold", "iced"], sum, spoil).len();
        let (head, signing) = client.head("PUT", "ice/a", &headers, payload, length);
        client.raw(&head, &chunked(&signing, &["cold", "iced"], sum, spoil)).unwrap()
    };
    assert_eq!(send(&crc32(b"coldICED"), true).error(), (403, "SignatureDoesNotMatch".into()));
    assert_eq!(send(&crc32(b"other"), false).error(), (400, "BadDigest".into()));
    assert_eq!(server.keys("ice"), Vec::<String>::new());
    let put = send(&crc32(b"coldiced"), false);
    assert_eq!(put.status, 200);
    assert_eq!(server.data("ice", "a", &put.version()).unwrap(), b"coldiced");
    assert!(!client.send("HEAD", "ice/a", &[], b"").headers.contains_key("content-encoding"));
}

#[test]
fn unsigned_chunks_with_a_trailer_are_taken_apart() {
    let (server, client) = server();
    let headers = [("x-amz-decoded-content-length", "8"), ("x-amz-trailer", "x-amz-checksum-crc32")];
    let body = format!("8\r\ncoldiced\r\n0\r\nx-amz-checksum-crc32:{}\r\n\r\n", crc32(b"coldiced"));
    let (head, _) = client.head("PUT", "ice/a", &headers, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", body.len());
    let put = client.raw(&head, body.as_bytes()).unwrap();
    assert_eq!(put.status, 200);
    assert_eq!(server.data("ice", "a", &put.version()).unwrap(), b"coldiced");
}

#[test]
fn a_put_that_must_be_the_first_is_refused_once_there_is_an_object() {
    let (server, client) = server();
    let first = [("if-none-match", "*")];
    assert_eq!(client.summed("PUT", "ice/a", &first, b"1").status, 200);
    assert_eq!(client.summed("PUT", "ice/a", &first, b"2").error(), (412, "PreconditionFailed".into()));
    client.send("DELETE", "ice/a", &[], b"");
    assert_eq!(client.summed("PUT", "ice/a", &first, b"3").status, 200);
    assert_eq!(server.versions("ice", "a").len(), 3);
}

#[test]
fn a_delete_marker_hides_an_object_and_its_versions_stay_readable() {
    let (_server, client) = server();
    let old = client.summed("PUT", "ice/a", &[], b"old").version();
    let marker = client.send("DELETE", "ice/a", &[], b"");
    assert_eq!((marker.status, marker.headers["x-amz-delete-marker"].as_str()), (204, "true"));
    let hidden = client.send("GET", "ice/a", &[], b"");
    assert_eq!(hidden.error(), (404, "NoSuchKey".into()));
    assert_eq!(hidden.headers["x-amz-delete-marker"], "true");
    let by_marker = client.send("GET", &format!("ice/a?versionId={}", marker.version()), &[], b"");
    assert_eq!(by_marker.error(), (405, "MethodNotAllowed".into()));
    let by_version = client.send("GET", &format!("ice/a?versionId={old}"), &[], b"");
    assert_eq!(by_version.body, b"old");
    client.send("DELETE", &format!("ice/a?versionId={}", marker.version()), &[], b"");
    assert_eq!(client.send("GET", "ice/a", &[], b"").body, b"old");
}

#[test]
fn without_versions_a_put_replaces_and_a_delete_removes() {
    let (server, client) = server();
    server.add_bucket("plain", Bucket { versioning: Versioning::Off, ..Bucket::default() });
    for body in [b"1", b"2"] {
        client.summed("PUT", "plain/a", &[], body);
    }
    let versions = server.versions("plain", "a");
    assert_eq!((versions.len(), versions[0].version_id.as_str()), (1, "null"));
    assert_eq!(client.send("DELETE", "plain/a", &[], b"").status, 204);
    assert_eq!(server.keys("plain"), Vec::<String>::new());
}

#[test]
fn a_copy_shares_the_bytes_and_not_the_lock() {
    let (server, client) = server();
    let version = client.locked("ice/a", "COMPLIANCE");
    let source = format!("/ice/a?versionId={version}");
    let copy = client.send("PUT", "ice/b", &[("x-amz-copy-source", &source)], b"");
    assert_eq!(copy.status, 200);
    assert_eq!(server.data("ice", "b", &copy.version()).unwrap(), b"cold");
    assert_eq!(server.versions("ice", "b")[0].retention, None);
}

#[test]
fn a_batch_deletes_what_it_may_and_names_what_it_may_not() {
    let (server, client) = server();
    let locked = client.locked("ice/a", "COMPLIANCE");
    client.summed("PUT", "ice/b", &[], b"x");
    let list = format!(
        "<Delete><Object><Key>a</Key><VersionId>{locked}</VersionId></Object><Object><Key>b</Key></Object></Delete>"
    );
    assert_eq!(
        client.send("POST", "ice?delete", &[], list.as_bytes()).error(),
        (400, "InvalidRequest".into())
    );
    let reply = client.summed("POST", "ice?delete", &[], list.as_bytes());
    assert_eq!((reply.status, reply.all("Error").len(), reply.all("Deleted").len()), (200, 1, 1));
    assert_eq!(reply.xml("Code"), "AccessDenied");
    assert_eq!(server.versions("ice", "a").len(), 1);
    assert!(server.versions("ice", "b")[0].delete_marker);
}

#[test]
fn what_is_not_built_is_refused_and_never_ignored() {
    let (_server, client) = server();
    client.summed("PUT", "ice/a", &[], b"x");
    for (method, path) in [
        ("GET", "ice/a?attributes"),
        ("PUT", "ice/a?renameObject"),
        ("GET", "ice?unheard-of"),
        ("GET", "ice/a?partNumber=1"),
    ] {
        assert_eq!(
            client.send(method, path, &[], b"").error(),
            (501, "NotImplemented".into()),
            "{method} {path}"
        );
    }
    assert_eq!(client.summed("PUT", "ice/a", &[("x-amz-tagging", "a=b")], b"x").status, 501);
}

#[test]
fn a_server_for_benchmarks_checks_who_asks_and_not_the_hash_of_a_body() {
    let server = FakeS3::start(Options { payload: PayloadHash::Ignored, ..Options::default() }).unwrap();
    server.add_bucket("ice", Bucket::default());
    let client = Client::of(&server, server.add_admin());
    let (head, _) = client.head("PUT", "ice/a", &[], &hex(Sha256::digest(b"cold")), 4);
    assert_eq!(client.raw(&head, b"warm").unwrap().status, 200);
    assert_eq!(client.send("PUT", "ice/a", &[("x-amz-checksum-crc32", "AAAAAA==")], b"x").error().0, 400);
    let (head, _) = client.head("GET", "ice/a", &[], "UNSIGNED-PAYLOAD", 0);
    assert_eq!(client.raw(&head.replace("GET", "DELETE"), b"").unwrap().status, 403);
}
