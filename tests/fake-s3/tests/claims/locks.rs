use crate::client::{Client, Reply, days, server, user};
use fake_s3::{Bucket, Mode, Statement};

const BYPASS: [(&str, &str); 1] = [("x-amz-bypass-governance-retention", "true")];

fn retention(mode: &str, count: i64) -> String {
    format!("<Retention><Mode>{mode}</Mode><RetainUntilDate>{}</RetainUntilDate></Retention>", days(count))
}

fn retain(client: &Client, path: &str, headers: &[(&str, &str)], mode: &str, count: i64) -> Reply {
    client.summed("PUT", &format!("{path}?retention"), headers, retention(mode, count).as_bytes())
}

fn denied() -> (u16, String) {
    (403, "AccessDenied".to_owned())
}

#[test]
fn nobody_deletes_a_version_under_compliance() {
    let (server, client) = server();
    let version = client.locked("ice/a", "COMPLIANCE");
    let path = format!("ice/a?versionId={version}");
    for headers in [&[][..], &BYPASS] {
        assert_eq!(client.send("DELETE", &path, headers, b"").error(), denied());
    }
    assert_eq!(server.versions("ice", "a").len(), 1);
    server.advance_days(93);
    assert_eq!(client.send("DELETE", &path, &[], b"").status, 204);
    assert_eq!(server.keys("ice"), Vec::<String>::new());
}

#[test]
fn an_overwrite_leaves_the_locked_version_in_place() {
    let (server, client) = server();
    let version = client.locked("ice/a", "COMPLIANCE");
    client.summed("PUT", "ice/a", &[], b"junk");
    let versions = server.versions("ice", "a");
    assert_eq!(versions.iter().map(|version| version.is_latest).collect::<Vec<_>>(), [true, false]);
    assert_eq!(versions[1].version_id, version);
    assert_eq!(versions[1].retention.unwrap().0, Mode::Compliance);
}

#[test]
fn compliance_only_grows() {
    let (_server, client) = server();
    client.locked("ice/a", "COMPLIANCE");
    for headers in [&[][..], &BYPASS] {
        assert_eq!(retain(&client, "ice/a", headers, "COMPLIANCE", 91).error(), denied());
        assert_eq!(retain(&client, "ice/a", headers, "GOVERNANCE", 200).error(), denied());
        let removal = client.summed("PUT", "ice/a?retention", headers, b"<Retention/>");
        assert_eq!(removal.error(), denied());
    }
    assert_eq!(retain(&client, "ice/a", &[], "COMPLIANCE", 200).status, 200);
    let read = client.send("GET", "ice/a?retention", &[], b"");
    assert_eq!(read.xml("Mode"), "COMPLIANCE");
    assert_eq!(read.xml("RetainUntilDate").get(..10), days(200).get(..10));
}

#[test]
fn governance_yields_only_to_the_permission_and_the_header_together() {
    let (server, admin) = server();
    let writer =
        user(&server, vec![Statement::allow(&["s3:*"]), Statement::deny(&["s3:BypassGovernanceRetention"])]);
    let version = admin.locked("ice/a", "GOVERNANCE");
    let path = format!("ice/a?versionId={version}");
    assert_eq!(admin.send("DELETE", &path, &[], b"").error(), denied());
    assert_eq!(writer.send("DELETE", &path, &BYPASS, b"").error(), denied());
    assert_eq!(retain(&admin, "ice/a", &[], "GOVERNANCE", 1).error(), denied());
    assert_eq!(retain(&writer, "ice/a", &BYPASS, "GOVERNANCE", 1).error(), denied());
    assert_eq!(retain(&admin, "ice/a", &BYPASS, "GOVERNANCE", 1).status, 200);
    assert_eq!(admin.send("DELETE", &path, &BYPASS, b"").status, 204);
}

#[test]
fn a_legal_hold_has_no_date_and_no_bypass() {
    let (server, client) = server();
    let version = client.summed("PUT", "ice/a", &[], b"x").version();
    let hold = |status: &str| {
        let body = format!("<LegalHold><Status>{status}</Status></LegalHold>");
        client.summed("PUT", "ice/a?legal-hold", &[], body.as_bytes()).status
    };
    assert_eq!(hold("ON"), 200);
    server.advance_days(40_000);
    let path = format!("ice/a?versionId={version}");
    assert_eq!(client.send("DELETE", &path, &BYPASS, b"").error(), denied());
    assert_eq!(client.send("HEAD", "ice/a", &[], b"").headers["x-amz-object-lock-legal-hold"], "ON");
    assert_eq!(hold("OFF"), 200);
    assert_eq!(client.send("DELETE", &path, &[], b"").status, 204);
}

#[test]
fn a_lock_wants_a_checksum_a_date_to_come_and_a_bucket_that_locks() {
    let (server, client) = server();
    server.add_bucket("plain", Bucket::default());
    let (soon, past) = (days(92), days(-1));
    let mode = ("x-amz-object-lock-mode", "COMPLIANCE");
    let until = |date| ("x-amz-object-lock-retain-until-date", date);
    let bad = |code: &str| (400, code.to_owned());
    assert_eq!(
        client.send("PUT", "ice/a", &[mode, until(soon.as_str())], b"x").error(),
        bad("InvalidRequest")
    );
    assert_eq!(
        client.summed("PUT", "ice/a", &[mode, until(past.as_str())], b"x").error(),
        bad("InvalidArgument")
    );
    assert_eq!(client.summed("PUT", "ice/a", &[mode], b"x").error(), bad("InvalidArgument"));
    assert_eq!(
        client.summed("PUT", "plain/a", &[mode, until(soon.as_str())], b"x").error(),
        bad("InvalidRequest")
    );
    let body = retention("COMPLIANCE", 92);
    client.summed("PUT", "ice/a", &[], b"x");
    assert_eq!(client.send("PUT", "ice/a?retention", &[], body.as_bytes()).error(), bad("InvalidRequest"));
}

#[test]
fn what_is_put_without_a_lock_gets_the_buckets() {
    let (server, client) = server();
    server
        .add_bucket("kept", Bucket { default_retention: Some((Mode::Compliance, 30)), ..Bucket::default() });
    assert_eq!(client.send("PUT", "kept/a", &[], b"x").error(), (400, "InvalidRequest".into()));
    let version = client.summed("PUT", "kept/a", &[], b"x").version();
    let (mode, until) = server.versions("kept", "a")[0].retention.unwrap();
    assert_eq!((mode, (until - server.clock().now()).num_days()), (Mode::Compliance, 29));
    assert_eq!(client.send("DELETE", &format!("kept/a?versionId={version}"), &[], b"").error(), denied());
}

#[test]
fn an_object_without_a_lock_has_no_retention_to_read() {
    let (_server, client) = server();
    client.summed("PUT", "ice/a", &[], b"x");
    let reply = client.send("GET", "ice/a?retention", &[], b"");
    assert_eq!(reply.error(), (404, "NoSuchObjectLockConfiguration".into()));
}
