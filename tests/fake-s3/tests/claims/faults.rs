//! Each fault: first the rule holds, then it is broken as often as was armed, and then it holds again.

use crate::client::{Client, Reply, days, server, user};
use crate::multiparts::{create, list, part};
use fake_s3::{FakeS3, Fault, Statement, Times};

const BYPASS: [(&str, &str); 1] = [("x-amz-bypass-governance-retention", "true")];

/// Runs `act` before, under and after one strike of a fault; gives back the three results and checks the count.
fn around<T>(server: &FakeS3, fault: Fault, mut act: impl FnMut() -> T) -> [T; 3] {
    let before = act();
    assert_eq!(server.hits(fault), 0, "{fault:?} struck unarmed");
    server.arm(fault, Times::Count(1));
    let under = act();
    assert_eq!(server.hits(fault), 1, "{fault:?} did not strike");
    let after = act();
    assert_eq!(server.hits(fault), 1, "{fault:?} struck twice");
    [before, under, after]
}

fn locked_multipart(server: &FakeS3, client: &Client) -> Option<i64> {
    let until = days(92);
    let headers = [
        ("x-amz-checksum-algorithm", "CRC32"),
        ("x-amz-object-lock-mode", "COMPLIANCE"),
        ("x-amz-object-lock-retain-until-date", until.as_str()),
    ];
    let id = create(client, "ice/m", &headers);
    let entry = part(client, "ice/m", &id, 1, b"x");
    assert_eq!(client.send("POST", &format!("ice/m?uploadId={id}"), &[], &list(&[&entry])).status, 200);
    server.versions("ice", "m")[0].retention.map(|(_, until)| (until - server.clock().now()).num_days())
}

#[test]
fn a_lock_is_lost_on_multipart() {
    let (server, client) = server();
    let results = around(&server, Fault::LockLostOnMultipart, || locked_multipart(&server, &client));
    assert_eq!(results, [Some(91), None, Some(91)]);
}

#[test]
fn a_lock_is_shortened_by_days() {
    let (server, client) = server();
    let results = around(&server, Fault::LockShortened(30), || locked_multipart(&server, &client));
    assert_eq!(results, [Some(91), Some(61), Some(91)]);
}

#[test]
fn a_lock_cannot_be_read_back() {
    let (server, client) = server();
    client.locked("ice/a", "COMPLIANCE");
    let read = || client.send("GET", "ice/a?retention", &[], b"").status;
    assert_eq!(around(&server, Fault::RetentionReadBackFails, read), [200, 500, 200]);
}

#[test]
fn a_damaged_upload_is_taken_for_right() {
    let (server, client) = server();
    let put = || {
        let reply = client.summed("PUT", "ice/a", &[], b"cold");
        (reply.status, server.data("ice", "a", &reply.version()).unwrap() == b"cold")
    };
    let results = around(&server, Fault::WrongChecksumAccepted, put);
    assert_eq!(results, [(200, true), (200, false), (200, true)]);
}

#[test]
fn storms_refuse_anything_for_a_while() {
    for (fault, status) in [(Fault::ServerError503Storm, 503), (Fault::SlowDown429, 429)] {
        let (server, client) = server();
        let put = || client.summed("PUT", "ice/a", &[], b"x").status;
        assert_eq!(around(&server, fault, put), [200, status, 200]);
        assert_eq!(server.versions("ice", "a").len(), 2);
        server.arm(fault, Times::Always);
        assert_eq!([put(), put(), put()], [status; 3]);
        server.disarm(fault);
        assert_eq!((put(), server.hits(fault)), (200, 4));
    }
}

#[test]
fn the_connection_is_cut_in_a_part_and_the_part_is_not_kept() {
    let (server, client) = server();
    let id = create(&client, "ice/a", &[]);
    let path = format!("ice/a?partNumber=1&uploadId={id}");
    let data = vec![7; 3 << 20];
    let put = || {
        let is_answered = client.try_send("PUT", &path, &[], &data).is_ok();
        let kept = server.uploads("ice")[0].parts.len();
        client.send("DELETE", &format!("ice/a?uploadId={id}"), &[], b"");
        (is_answered, kept)
    };
    server.arm(Fault::CutPart, Times::Count(1));
    assert_eq!((put(), server.hits(Fault::CutPart)), ((false, 0), 1));
}

#[test]
fn the_answer_of_a_completion_is_cut_and_it_did_happen() {
    let (server, client) = server();
    let mut versions = 0;
    let complete = || {
        let id = create(&client, "ice/a", &[("x-amz-checksum-algorithm", "CRC32")]);
        let entry = part(&client, "ice/a", &id, 1, b"x");
        let is_answered =
            client.try_send("POST", &format!("ice/a?uploadId={id}"), &[], &list(&[&entry])).is_ok();
        versions += 1;
        assert_eq!((server.versions("ice", "a").len(), server.uploads("ice").len()), (versions, 0));
        is_answered
    };
    assert_eq!(around(&server, Fault::CutAnswer, complete), [true, false, true]);
    assert!(
        server
            .requests()
            .iter()
            .any(|(_, name, _, status)| name == "CompleteMultipartUpload" && *status == 0)
    );
}

#[test]
fn lists_do_not_show_the_newest() {
    let (server, client) = server();
    for key in ["a", "b", "c"] {
        client.summed("PUT", &format!("ice/{key}"), &[], b"x");
    }
    let objects = || client.send("GET", "ice?list-type=2", &[], b"").all("Key").len();
    assert_eq!(around(&server, Fault::StaleList(2), objects), [3, 1, 3]);
    server.arm(Fault::StaleList(1), Times::Count(1));
    assert_eq!(client.send("GET", "ice?versions", &[], b"").all("Key"), ["a", "b"]);
    assert_eq!(server.hits(Fault::StaleList(0)), 2);
}

/// A user whom everything that destroys is denied.
fn writer(server: &FakeS3) -> Client {
    let never = [
        "s3:Delete*",
        "s3:BypassGovernanceRetention",
        "s3:PutBucketPolicy",
        "s3:PutLifecycleConfiguration",
        "s3:PutBucketVersioning",
    ];
    user(server, vec![Statement::allow(&["s3:*"]), Statement::deny(&never)])
}

#[test]
fn a_marker_is_laid_although_denied() {
    let (server, _admin) = server();
    let writer = writer(&server);
    writer.locked("ice/a", "COMPLIANCE");
    let delete = || writer.send("DELETE", "ice/a", &[], b"").status;
    assert_eq!(around(&server, Fault::DeleteAllowed, delete), [403, 204, 403]);
    assert!(server.versions("ice", "a")[0].delete_marker);
}

#[test]
fn a_version_under_compliance_is_deleted_although_denied_and_locked() {
    let (server, _admin) = server();
    let writer = writer(&server);
    let delete = || {
        let version = writer.locked("ice/a", "COMPLIANCE");
        writer.send("DELETE", &format!("ice/a?versionId={version}"), &[], b"").status
    };
    assert_eq!(around(&server, Fault::DeleteVersionAllowed, delete), [403, 204, 403]);
    assert_eq!(server.versions("ice", "a").len(), 2);
}

#[test]
fn compliance_is_shortened() {
    let (server, admin) = server();
    let (short, weak) = (days(1), days(300));
    for (mode, until) in [("COMPLIANCE", short), ("GOVERNANCE", weak)] {
        server.disarm(Fault::ShortenAllowed);
        let body =
            format!("<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>");
        let before = server.hits(Fault::ShortenAllowed);
        let shorten = || {
            admin.locked("ice/a", "COMPLIANCE");
            admin.summed("PUT", "ice/a?retention", &[], body.as_bytes()).status
        };
        assert_eq!(shorten(), 403);
        server.arm(Fault::ShortenAllowed, Times::Count(1));
        assert_eq!([shorten(), shorten()], [200, 403]);
        assert_eq!(server.hits(Fault::ShortenAllowed), before + 1);
    }
}

#[test]
fn an_overwrite_replaces_what_is_locked() {
    let (server, client) = server();
    let overwrite = || {
        client.locked("ice/a", "COMPLIANCE");
        server.versions("ice", "a").len()
    };
    overwrite();
    assert_eq!(around(&server, Fault::OverwriteReplaces, overwrite), [2, 1, 2]);
}

#[test]
fn the_bypass_works_without_permission_and_against_compliance() {
    for mode in ["GOVERNANCE", "COMPLIANCE"] {
        let (server, _admin) = server();
        let never = [Statement::allow(&["s3:*"]), Statement::deny(&["s3:BypassGovernanceRetention"])];
        let writer = user(&server, never.to_vec());
        let delete = || {
            let version = writer.locked("ice/a", mode);
            writer.send("DELETE", &format!("ice/a?versionId={version}"), &BYPASS, b"").status
        };
        assert_eq!(around(&server, Fault::BypassAllowed, delete), [403, 204, 403], "{mode}");
    }
}

#[test]
fn settings_are_written_although_denied() {
    let (server, _admin) = server();
    let writer = writer(&server);
    let policy = r#"{"Statement":[]}"#;
    let lifecycle = "<LifecycleConfiguration/>";
    let suspend = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
    for (fault, path, body, done) in [
        (Fault::PolicyWritable, "ice?policy", policy, 204),
        (Fault::LifecycleWritable, "ice?lifecycle", lifecycle, 200),
        (Fault::VersioningSuspendable, "ice?versioning", suspend, 200),
    ] {
        let put = || writer.summed("PUT", path, &[], body.as_bytes()).status;
        assert_eq!(around(&server, fault, put), [403, done, 403], "{fault:?}");
    }
    assert_eq!(writer.send("GET", "ice?versioning", &[], b"").xml("Status"), "Suspended");
    assert_eq!(writer.send("GET", "ice?lifecycle", &[], b"").body, lifecycle.as_bytes());
}

#[test]
fn a_put_that_must_be_the_first_goes_over_another() {
    let (server, client) = server();
    client.summed("PUT", "ice/a", &[], b"x");
    let put = || client.summed("PUT", "ice/a", &[("if-none-match", "*")], b"y").status;
    assert_eq!(around(&server, Fault::IgnoreIfNoneMatch, put), [412, 200, 412]);
}

#[test]
fn one_bit_of_an_answer_is_wrong_and_what_is_stored_is_not() {
    let (server, client) = server();
    client.summed("PUT", "ice/a", &[], b"cold");
    let get = || client.send("GET", "ice/a", &[("x-amz-checksum-mode", "ENABLED")], b"").body;
    let [before, under, after] = around(&server, Fault::FlippedBit, get);
    assert_eq!((before.as_slice(), after.as_slice()), (b"cold".as_slice(), b"cold".as_slice()));
    let bits: u32 = under.iter().zip(b"cold").map(|(found, stored)| (found ^ stored).count_ones()).sum();
    assert_eq!((under.len(), bits), (4, 1));
}

#[test]
fn a_test_can_damage_and_remove_what_nobody_may_touch() {
    let (server, client) = server();
    let version = client.locked("ice/a", "COMPLIANCE");
    assert!(server.flip_bit("ice", "a", &version, 2, 7));
    assert!(!server.flip_bit("ice", "a", &version, 4, 0));
    let reply: Reply = client.send("GET", "ice/a", &[], b"");
    assert_eq!(reply.body, [b'c', b'o', b'l' ^ 0x80, b'd']);
    assert!(server.remove_by_force("ice", "a", &version) && !server.remove_by_force("ice", "a", &version));
    assert_eq!(server.keys("ice"), Vec::<String>::new());
}

#[test]
fn a_fault_can_wait_for_its_chance_and_strikes_once() {
    let (server, client) = server();
    server.arm(Fault::SlowDown429, Times::After(2));
    let statuses = [(); 5].map(|()| client.send("GET", "ice?versioning", &[], b"").status);
    assert_eq!(statuses, [200, 200, 429, 200, 200]);
    assert_eq!(server.hits(Fault::SlowDown429), 1);
}

#[test]
fn the_answer_of_a_creation_is_cut_and_the_upload_is_there() {
    let (server, client) = server();
    let created = || client.try_send("POST", "ice/a?uploads", &[], b"").is_ok();
    assert_eq!(around(&server, Fault::CutCreation, created), [true, false, true]);
    assert_eq!(server.uploads("ice").len(), 3);
}

#[test]
fn an_object_is_cut_in_the_middle_of_its_bytes() {
    let (server, client) = server();
    let data = vec![7; 3 << 20];
    client.send("PUT", "ice/a", &[], &data);
    let is_whole = || client.try_send("GET", "ice/a", &[], b"").is_ok_and(|answer| answer.body == data);
    assert_eq!(around(&server, Fault::CutGet, is_whole), [true, false, true]);
}
