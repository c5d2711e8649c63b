use crate::client::{Client, days, server, user};
use chrono::TimeDelta;
use fake_s3::{FakeS3, Key, Operator, Options, Statement};

/// What the uploader of cold storage is given: it may put and extend, and nothing else.
const WRITER: &str = r#"{"Version":"2012-10-17","Statement":[
{"Sid":"Put","Effect":"Allow","Action":["s3:PutObject","s3:PutObjectRetention","s3:GetObjectRetention","s3:AbortMultipartUpload","s3:ListMultipartUploadParts"],"Resource":"arn:aws:s3:::ice/ice/*"},
{"Sid":"List","Effect":"Allow","Action":["s3:ListBucket","s3:ListBucketVersions","s3:ListBucketMultipartUploads","s3:GetBucketObjectLockConfiguration","s3:GetBucketVersioning"],"Resource":"arn:aws:s3:::ice"},
{"Sid":"NoShortLock","Effect":"Deny","Action":"s3:PutObjectRetention","Resource":"arn:aws:s3:::ice/*","Condition":{"NumericLessThan":{"s3:object-lock-remaining-retention-days":"180"}}},
{"Sid":"NoHugeLock","Effect":"Deny","Action":"s3:PutObjectRetention","Resource":"arn:aws:s3:::ice/*","Condition":{"NumericGreaterThan":{"s3:object-lock-remaining-retention-days":"800"}}},
{"Sid":"OnlyCompliance","Effect":"Deny","Action":["s3:PutObject","s3:PutObjectRetention"],"Resource":"arn:aws:s3:::ice/*","Condition":{"StringNotEqualsIfExists":{"s3:object-lock-mode":"COMPLIANCE"}}},
{"Sid":"Never","Effect":"Deny","Action":["s3:DeleteObject","s3:DeleteObjectVersion","s3:BypassGovernanceRetention","s3:PutObjectLegalHold","s3:DeleteBucket","s3:PutBucketPolicy","s3:DeleteBucketPolicy","s3:PutLifecycleConfiguration","s3:PutBucketObjectLockConfiguration","s3:PutBucketVersioning","s3:PutBucketAcl","s3:PutObjectAcl","s3:PutReplicationConfiguration"],"Resource":["arn:aws:s3:::ice","arn:aws:s3:::ice/*"]}]}"#;

fn put(client: &Client, mode: &str, count: i64) -> (u16, String) {
    let until = days(count);
    let headers = [("x-amz-object-lock-mode", mode), ("x-amz-object-lock-retain-until-date", until.as_str())];
    client.summed("PUT", "ice/ice/a", &headers, b"x").error()
}

#[test]
fn the_least_a_writer_needs_lets_it_write_and_nothing_else() {
    let (server, admin) = server();
    let writer = user(&server, Statement::from_policy(WRITER).unwrap());
    assert_eq!(put(&writer, "COMPLIANCE", 200), (200, String::new()));
    assert_eq!(writer.send("GET", "ice?versions", &[], b"").status, 200);
    assert_eq!(writer.send("GET", "ice/ice/a?retention", &[], b"").xml("Mode"), "COMPLIANCE");
    let before = server.versions("ice", "ice/a");
    let version = &before[0].version_id;
    let denied = (403, "AccessDenied".to_owned());
    for (mode, count) in [("COMPLIANCE", 100), ("COMPLIANCE", 900), ("GOVERNANCE", 200)] {
        assert_eq!(put(&writer, mode, count), denied, "{mode} {count}");
    }
    for (method, path) in [
        ("DELETE", "ice/ice/a".to_owned()),
        ("DELETE", format!("ice/ice/a?versionId={version}")),
        ("GET", "ice/ice/a".to_owned()),
        ("PUT", "ice/elsewhere".to_owned()),
        ("PUT", "ice/ice/a?legal-hold".to_owned()),
        ("PUT", "ice/ice/a?acl".to_owned()),
        ("POST", "ice/ice/a?restore".to_owned()),
        ("DELETE", "ice".to_owned()),
        ("PUT", "other".to_owned()),
        ("PUT", "ice?policy".to_owned()),
        ("DELETE", "ice?policy".to_owned()),
        ("PUT", "ice?lifecycle".to_owned()),
        ("DELETE", "ice?lifecycle".to_owned()),
        ("PUT", "ice?object-lock".to_owned()),
        ("PUT", "ice?versioning".to_owned()),
        ("PUT", "ice?encryption".to_owned()),
        ("PUT", "ice?acl".to_owned()),
        ("PUT", "ice?replication".to_owned()),
    ] {
        assert_eq!(writer.summed(method, &path, &[], b"<x/>").error(), denied, "{method} {path}");
    }
    assert_eq!(server.versions("ice", "ice/a"), before);
    assert_eq!(admin.send("GET", "ice/ice/a", &[], b"").status, 200);
}

#[test]
fn a_buckets_policy_denies_what_a_user_is_allowed() {
    let (server, admin) = server();
    let other = user(&server, vec![Statement::allow(&["s3:*"])]);
    let policy = r#"{"Statement":{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::1:user/someone"},"Action":"s3:Delete*","Resource":"arn:aws:s3:::ice/*"}}"#;
    assert_eq!(admin.summed("PUT", "ice?policy", &[], policy.as_bytes()).status, 204);
    assert_eq!(admin.send("GET", "ice?policy", &[], b"").body, policy.as_bytes());
    assert_eq!(other.send("DELETE", "ice/a", &[], b"").error(), (403, "AccessDenied".into()));
    assert_eq!(admin.send("DELETE", "ice/a", &[], b"").status, 204);
    assert_eq!(other.send("DELETE", "ice?policy", &[], b"").status, 204);
    assert_eq!(other.send("DELETE", "ice/a", &[], b"").status, 204);
}

#[test]
fn a_policy_that_would_not_be_enforced_is_refused() {
    let (_server, admin) = server();
    for statement in [
        r#"{"Effect":"Deny","Principal":"*","NotAction":"s3:GetObject","Resource":"*"}"#,
        r#"{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"::1"}}}"#,
        r#"{"Effect":"Deny","Action":"s3:*","Resource":"*"}"#,
        r#"{"Effect":"Perhaps","Principal":"*","Action":"s3:*","Resource":"*"}"#,
    ] {
        let body = format!("{{\"Statement\":[{statement}]}}");
        let reply = admin.summed("PUT", "ice?policy", &[], body.as_bytes());
        assert_eq!(reply.error(), (400, "MalformedPolicy".into()), "{statement}");
    }
}

#[test]
fn conditions_hold_only_for_what_they_name() {
    let (server, _admin) = server();
    let key = "s3:object-lock-remaining-retention-days";
    let limited = user(
        &server,
        vec![
            Statement::allow(&["s3:PutObject*"]).on("arn:aws:s3:::ice/ice/*"),
            Statement::deny(&["s3:PutObjectRetention"]).when(Operator::NumericLessThan, key, "92"),
        ],
    );
    assert_eq!(put(&limited, "GOVERNANCE", 91), (403, "AccessDenied".into()));
    assert_eq!(put(&limited, "GOVERNANCE", 93), (200, String::new()));
    assert_eq!(limited.summed("PUT", "ice/ice/a", &[], b"no lock").status, 200);
    assert_eq!(limited.summed("PUT", "ice/b", &[], b"x").error(), (403, "AccessDenied".into()));
}

#[test]
fn who_may_not_list_does_not_learn_that_an_object_is_absent() {
    let (server, admin) = server();
    let reader = user(&server, vec![Statement::allow(&["s3:GetObject"])]);
    assert_eq!(admin.send("GET", "ice/none", &[], b"").error(), (404, "NoSuchKey".into()));
    assert_eq!(reader.send("GET", "ice/none", &[], b"").error(), (403, "AccessDenied".into()));
}

#[test]
fn the_lock_is_shown_only_to_who_may_ask_for_it() {
    let (server, admin) = server();
    admin.locked("ice/a", "COMPLIANCE");
    let reader = user(&server, vec![Statement::allow(&["s3:GetObject"])]);
    assert_eq!(admin.send("HEAD", "ice/a", &[], b"").headers["x-amz-object-lock-mode"], "COMPLIANCE");
    assert!(!reader.send("HEAD", "ice/a", &[], b"").headers.contains_key("x-amz-object-lock-mode"));
}

#[test]
fn strangers_forgers_and_the_unsigned_are_refused() {
    let (server, admin) = server();
    let stranger = Client::of(&server, Key { access: "AKIANOBODY".to_owned(), secret: "x".to_owned() });
    assert_eq!(stranger.send("GET", "ice", &[], b"").error(), (403, "InvalidAccessKeyId".into()));
    let forger = Client::of(&server, Key { secret: "guess".to_owned(), ..admin.key.clone() });
    assert_eq!(forger.send("GET", "ice", &[], b"").error(), (403, "SignatureDoesNotMatch".into()));
    let unsigned = format!("GET /ice HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", admin.address);
    assert_eq!(admin.raw(&unsigned, b"").unwrap().error(), (403, "AccessDenied".into()));
    let (head, _) = admin.head("GET", "ice/a", &[], "UNSIGNED-PAYLOAD", 0);
    let other = head.replace("GET /ice/a", "GET /ice/b");
    assert_eq!(admin.raw(&other, b"").unwrap().error(), (403, "SignatureDoesNotMatch".into()));
    let added = head.replace("\r\n\r\n", "\r\nx-amz-bypass-governance-retention: true\r\n\r\n");
    assert_eq!(admin.raw(&added, b"").unwrap().error(), (403, "AccessDenied".into()));
    let elsewhere = Client { region: "eu-north-1", ..admin };
    assert_eq!(elsewhere.send("GET", "ice", &[], b"").error(), (400, "AuthorizationHeaderMalformed".into()));
}

#[test]
fn a_clock_more_than_a_quarter_hour_off_is_refused() {
    let server = FakeS3::start(Options::default()).unwrap();
    let mut client = Client::of(&server, server.add_admin());
    assert_eq!(client.send("GET", "", &[], b"").status, 200);
    for minutes in [-16, 16] {
        client.skew = TimeDelta::minutes(minutes);
        assert_eq!(client.send("GET", "", &[], b"").error(), (403, "RequestTimeTooSkewed".into()));
    }
    client.skew = TimeDelta::days(1);
    server.advance_days(1);
    assert_eq!(client.send("GET", "", &[], b"").status, 200);
}

#[test]
fn requests_are_on_record_with_their_operation_and_status() {
    let (server, client) = server();
    client.summed("PUT", "ice/a", &[], b"x");
    client.send("GET", "ice/none", &[], b"");
    let line = |method: &str, name: &str, key: &str, status| (method.into(), name.into(), key.into(), status);
    let expected = [line("PUT", "PutObject", "a", 200), line("GET", "GetObject", "none", 404)];
    assert_eq!(server.requests(), expected);
}
