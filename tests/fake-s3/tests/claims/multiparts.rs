use crate::client::{Client, crc32, days, server, sha256};
use fake_s3::Mode;

const PART: usize = 5 << 20;

/// Creates an upload and returns its id.
pub(crate) fn create(client: &Client, path: &str, headers: &[(&str, &str)]) -> String {
    let reply = client.send("POST", &format!("{path}?uploads"), headers, b"");
    assert_eq!(reply.error(), (200, String::new()));
    reply.xml("UploadId")
}

/// Uploads a part with its CRC-32 and returns its entry for the list.
pub(crate) fn part(client: &Client, path: &str, id: &str, number: usize, data: &[u8]) -> String {
    let reply = client.summed("PUT", &format!("{path}?partNumber={number}&uploadId={id}"), &[], data);
    assert_eq!(reply.error(), (200, String::new()));
    let (etag, sum) = (&reply.headers["etag"], crc32(data));
    format!(
        "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag><ChecksumCRC32>{sum}</ChecksumCRC32></Part>"
    )
}

pub(crate) fn list(parts: &[&str]) -> Vec<u8> {
    format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", parts.concat()).into_bytes()
}

const FULL: [(&str, &str); 2] =
    [("x-amz-checksum-algorithm", "CRC32"), ("x-amz-checksum-type", "FULL_OBJECT")];

#[test]
fn a_multipart_object_has_its_lock_its_class_and_the_checksum_of_the_whole() {
    let (server, client) = server();
    let until = days(92);
    let mut headers = FULL.to_vec();
    headers.extend([
        ("x-amz-object-lock-mode", "COMPLIANCE"),
        ("x-amz-object-lock-retain-until-date", &until),
        ("x-amz-storage-class", "DEEP_ARCHIVE"),
    ]);
    let id = create(&client, "ice/a", &headers);
    let whole = [vec![1; PART], vec![2; 10]].concat();
    let first = part(&client, "ice/a", &id, 1, &whole[..PART]);
    let second = part(&client, "ice/a", &id, 2, &whole[PART..]);
    assert_eq!(server.uploads("ice")[0].parts, [(1, PART as u64), (2, 10)]);
    let body = list(&[&first, &second]);
    let path = format!("ice/a?uploadId={id}");
    let wrong = [("x-amz-checksum-crc32", "AAAAAA==")];
    assert_eq!(client.send("POST", &path, &wrong, &body).error(), (400, "BadDigest".into()));
    let size = [("x-amz-mp-object-size", "17")];
    assert_eq!(client.send("POST", &path, &size, &body).error(), (400, "InvalidRequest".into()));
    let sum = crc32(&whole);
    let right = [("x-amz-checksum-crc32", sum.as_str()), ("x-amz-checksum-type", "FULL_OBJECT")];
    let done = client.send("POST", &path, &right, &body);
    assert_eq!((done.status, done.xml("ChecksumCRC32")), (200, sum));
    let version = &server.versions("ice", "a")[0];
    assert_eq!(
        (version.storage_class.as_str(), version.retention.unwrap().0),
        ("DEEP_ARCHIVE", Mode::Compliance)
    );
    assert_eq!(server.data("ice", "a", &version.version_id).unwrap(), whole);
    assert!(server.uploads("ice").is_empty());
    let delete = client.send("DELETE", &format!("ice/a?versionId={}", version.version_id), &[], b"");
    assert_eq!(delete.error(), (403, "AccessDenied".into()));
}

#[test]
fn parts_in_disorder_missing_or_small_are_refused() {
    let (_server, client) = server();
    let id = create(&client, "ice/a", &FULL);
    let first = part(&client, "ice/a", &id, 1, &[0; 10]);
    let second = part(&client, "ice/a", &id, 2, &[0; 10]);
    let complete =
        |parts: &[&str]| client.send("POST", &format!("ice/a?uploadId={id}"), &[], &list(parts)).error();
    assert_eq!(complete(&[&second, &first]), (400, "InvalidPartOrder".into()));
    assert_eq!(complete(&[&first, &second]), (400, "EntityTooSmall".into()));
    assert_eq!(complete(&[&first.replace(">1<", ">3<")]), (400, "InvalidPart".into()));
    assert_eq!(complete(&[&first.replace("<ETag>\"0", "<ETag>\"f")]), (400, "InvalidPart".into()));
    assert_eq!(complete(&[&first.replace(&crc32(&[0; 10]), "AAAAAA==")]), (400, "InvalidPart".into()));
    assert_eq!(complete(&[]), (400, "MalformedXML".into()));
    assert_eq!(complete(&[&first]), (200, String::new()));
}

#[test]
fn a_parts_checksum_must_be_right_and_of_the_uploads_kind() {
    let (server, client) = server();
    let id = create(&client, "ice/a", &FULL);
    let path = format!("ice/a?partNumber=1&uploadId={id}");
    let sum = sha256(b"x");
    assert_eq!(
        client.send("PUT", &path, &[("x-amz-checksum-sha256", &sum)], b"x").error(),
        (400, "InvalidRequest".into())
    );
    assert_eq!(
        client.send("PUT", &path, &[("x-amz-checksum-crc32", "AAAAAA==")], b"x").error(),
        (400, "BadDigest".into())
    );
    assert!(server.uploads("ice")[0].parts.is_empty());
    let composite = create(&client, "ice/b", &[("x-amz-checksum-algorithm", "CRC32")]);
    let entry = part(&client, "ice/b", &composite, 1, b"x");
    let bare = entry.replace(&format!("<ChecksumCRC32>{}</ChecksumCRC32>", crc32(b"x")), "");
    let unsummed = client.send("PUT", &format!("ice/b?partNumber=2&uploadId={composite}"), &[], b"x");
    assert_eq!(unsummed.error(), (400, "InvalidRequest".into()));
    let path = format!("ice/b?uploadId={composite}");
    assert_eq!(client.send("POST", &path, &[], &list(&[&bare])).error(), (400, "InvalidRequest".into()));
    let done = client.send("POST", &path, &[], &list(&[&entry]));
    assert!(done.xml("ChecksumCRC32").ends_with("-1"), "{}", done.xml("ChecksumCRC32"));
}

#[test]
fn a_completion_that_must_be_the_first_is_refused_once_there_is_an_object() {
    let (_server, client) = server();
    let id = create(&client, "ice/a", &FULL);
    let entry = part(&client, "ice/a", &id, 1, b"x");
    client.summed("PUT", "ice/a", &[], b"before");
    let reply =
        client.send("POST", &format!("ice/a?uploadId={id}"), &[("if-none-match", "*")], &list(&[&entry]));
    assert_eq!(reply.error(), (412, "PreconditionFailed".into()));
}

#[test]
fn an_upload_that_was_aborted_or_completed_is_gone() {
    let (server, client) = server();
    let id = create(&client, "ice/a", &FULL);
    let entry = part(&client, "ice/a", &id, 1, b"x");
    let path = format!("ice/a?uploadId={id}");
    assert_eq!(client.send("DELETE", &path, &[], b"").status, 204);
    for (method, body) in [("DELETE", Vec::new()), ("POST", list(&[&entry])), ("GET", Vec::new())] {
        assert_eq!(client.send(method, &path, &[], &body).error(), (404, "NoSuchUpload".into()));
    }
    assert!(server.uploads("ice").is_empty() && server.keys("ice").is_empty());
}

#[test]
fn uploads_and_parts_are_listed_in_pages() {
    let (_server, client) = server();
    for _ in 0..2 {
        create(&client, "ice/a", &FULL);
    }
    let id = create(&client, "ice/b", &FULL);
    let first = client.send("GET", "ice?uploads&max-uploads=1", &[], b"");
    assert_eq!((first.all("UploadId").len(), first.xml("IsTruncated")), (1, "true".into()));
    let (key, after) = (first.xml("NextKeyMarker"), first.xml("NextUploadIdMarker"));
    let rest =
        client.send("GET", &format!("ice?uploads&key-marker={key}&upload-id-marker={after}"), &[], b"");
    assert_eq!((rest.all("Upload").len(), rest.xml("IsTruncated")), (2, "false".into()));
    for number in [1, 2, 7] {
        part(&client, "ice/b", &id, number, b"x");
    }
    let first = client.send("GET", &format!("ice/b?uploadId={id}&max-parts=2"), &[], b"");
    assert_eq!(
        (first.all("PartNumber"), first.xml("IsTruncated")),
        (vec!["1".into(), "2".into()], "true".into())
    );
    let rest = client.send("GET", &format!("ice/b?uploadId={id}&part-number-marker=2"), &[], b"");
    assert_eq!((rest.all("PartNumber"), rest.xml("IsTruncated")), (vec!["7".to_owned()], "false".into()));
}

#[test]
fn a_part_without_a_checksum_gets_one_where_the_whole_has_its_own() {
    let (_server, client) = server();
    let id = create(&client, "ice/a", &FULL);
    let reply = client.send("PUT", &format!("ice/a?partNumber=1&uploadId={id}"), &[], b"x");
    let entry = format!("<Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part>", reply.headers["etag"]);
    let done = client.send("POST", &format!("ice/a?uploadId={id}"), &[], &list(&[&entry]));
    assert_eq!((done.status, done.xml("ChecksumCRC32")), (200, crc32(b"x")));
}

#[test]
fn a_part_of_a_locked_upload_must_announce_a_checksum() {
    let (_server, client) = server();
    let until = days(92);
    let lock =
        [("x-amz-object-lock-mode", "COMPLIANCE"), ("x-amz-object-lock-retain-until-date", until.as_str())];
    let id = create(&client, "ice/a", &[&FULL[..], &lock].concat());
    let reply = client.send("PUT", &format!("ice/a?partNumber=1&uploadId={id}"), &[], b"x");
    assert_eq!(reply.error(), (400, "InvalidRequest".into()));
}
