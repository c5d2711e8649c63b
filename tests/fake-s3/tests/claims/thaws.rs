use std::time::Duration;

use crate::client::server;
use fake_s3::{FakeS3, Options};

fn request(days: u32, tier: &str) -> Vec<u8> {
    let tier = format!("<GlacierJobParameters><Tier>{tier}</Tier></GlacierJobParameters>");
    format!("<RestoreRequest><Days>{days}</Days>{tier}</RestoreRequest>").into_bytes()
}

#[test]
fn each_class_thaws_in_its_own_time_and_freezes_again() {
    for (class, tier, minutes) in [
        ("GLACIER", "Expedited", 5),
        ("GLACIER", "Standard", 5 * 60),
        ("GLACIER", "Bulk", 12 * 60),
        ("DEEP_ARCHIVE", "Standard", 12 * 60),
        ("DEEP_ARCHIVE", "Bulk", 48 * 60),
    ] {
        let (server, client) = server();
        client.summed("PUT", "ice/a", &[("x-amz-storage-class", class)], b"x");
        let frozen = || client.send("GET", "ice/a", &[], b"").error() == (403, "InvalidObjectState".into());
        assert!(frozen(), "{class}");
        assert_eq!(client.send("POST", "ice/a?restore", &[], &request(2, tier)).status, 202);
        let again = client.send("POST", "ice/a?restore", &[], &request(2, tier));
        assert_eq!(again.error(), (409, "RestoreAlreadyInProgress".into()));
        let head = || client.send("HEAD", "ice/a", &[], b"").headers.get("x-amz-restore").cloned();
        assert_eq!(head().unwrap(), "ongoing-request=\"true\"");
        server.clock().advance(Duration::from_secs(minutes * 60 - 30));
        assert!(frozen(), "{class} {tier}: thawed too early");
        server.clock().advance(Duration::from_secs(31));
        assert_eq!(client.send("GET", "ice/a", &[], b"").body, b"x", "{class} {tier}");
        assert!(head().unwrap().starts_with("ongoing-request=\"false\", expiry-date="));
        assert_eq!(client.send("POST", "ice/a?restore", &[], &request(9, tier)).status, 200);
        server.advance_days(4);
        assert!(!frozen(), "{class}: the longer time was not granted");
        server.advance_days(7);
        assert!(frozen() && head().is_none(), "{class} {tier}: still thawed");
    }
}

#[test]
fn what_needs_no_thaw_is_readable_and_cannot_be_thawed() {
    let (_server, client) = server();
    for class in ["STANDARD", "GLACIER_IR"] {
        client.summed("PUT", "ice/a", &[("x-amz-storage-class", class)], b"x");
        assert_eq!(client.send("GET", "ice/a", &[], b"").body, b"x");
        let reply = client.send("POST", "ice/a?restore", &[], &request(2, "Standard"));
        assert_eq!(reply.error(), (403, "InvalidObjectState".into()));
    }
    client.summed("PUT", "ice/a", &[("x-amz-storage-class", "DEEP_ARCHIVE")], b"x");
    let reply = client.send("POST", "ice/a?restore", &[], &request(2, "Expedited"));
    assert_eq!(reply.error(), (400, "InvalidArgument".into()));
    let reply = client.summed("PUT", "ice/a", &[("x-amz-storage-class", "LUKEWARM")], b"x");
    assert_eq!(reply.error(), (400, "InvalidStorageClass".into()));
}

#[test]
fn the_clock_is_its_own_and_every_answer_shows_it() {
    let (server, client) = server();
    let when = chrono::DateTime::parse_from_rfc3339("2031-05-06T07:08:09Z").unwrap().to_utc();
    server.clock().set(when);
    let date = client.send("HEAD", "ice", &[], b"").headers["date"].clone();
    assert!(date.starts_with("Tue, 06 May 2031 07:08:"), "{date}");
    server.advance_days(1);
    assert!(client.send("GET", "ice/none", &[], b"").headers["date"].starts_with("Wed, 07 May 2031"));
}

#[test]
fn only_loopback_is_served_and_a_dropped_server_answers_nobody() {
    let listen = "0.0.0.0:0".parse().unwrap();
    assert!(FakeS3::start(Options { listen, ..Options::default() }).is_err());
    let (server, client) = server();
    drop(server);
    assert!(client.try_send("GET", "ice/a", &[], b"").is_err());
}
