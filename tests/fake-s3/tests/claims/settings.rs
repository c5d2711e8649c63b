use crate::client::server;
use fake_s3::Bucket;

#[test]
fn versions_of_a_lock_bucket_cannot_be_suspended() {
    let (server, client) = server();
    server.add_bucket("plain", Bucket::default());
    let put = |bucket: &str, status: &str| {
        let body = format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>");
        client.summed("PUT", &format!("{bucket}?versioning"), &[], body.as_bytes()).error()
    };
    let status = |bucket: &str| client.send("GET", &format!("{bucket}?versioning"), &[], b"").xml("Status");
    assert_eq!(put("ice", "Suspended"), (409, "InvalidBucketState".into()));
    assert_eq!((status("ice"), status("plain")), ("Enabled".into(), String::new()));
    assert_eq!(put("plain", "Enabled").0, 200);
    assert_eq!(put("plain", "Suspended").0, 200);
    assert_eq!(status("plain"), "Suspended");
}

#[test]
fn object_lock_needs_versions_and_its_default_is_shown() {
    let (server, client) = server();
    server.add_bucket("plain", Bucket::default());
    let rule = "<Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Years>1</Years></DefaultRetention></Rule>";
    let body = format!(
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>{rule}</ObjectLockConfiguration>"
    );
    let put =
        |bucket: &str| client.summed("PUT", &format!("{bucket}?object-lock"), &[], body.as_bytes()).error();
    assert_eq!(put("plain"), (409, "InvalidBucketState".into()));
    let absent = client.send("GET", "plain?object-lock", &[], b"");
    assert_eq!(absent.error(), (404, "ObjectLockConfigurationNotFoundError".into()));
    assert_eq!(client.send("GET", "ice?object-lock", &[], b"").xml("DefaultRetention"), "");
    assert_eq!(put("ice").0, 200);
    let shown = client.send("GET", "ice?object-lock", &[], b"");
    assert_eq!((shown.xml("Mode"), shown.xml("Years")), ("COMPLIANCE".into(), "1".into()));
}

#[test]
fn documents_are_kept_as_they_came_and_removed() {
    let (_server, client) = server();
    for (name, root, absent) in [
        ("lifecycle", "LifecycleConfiguration", 404),
        ("encryption", "ServerSideEncryptionConfiguration", 200),
    ] {
        let path = format!("ice?{name}");
        assert_eq!(client.send("GET", &path, &[], b"").status, absent);
        let body = format!("<{root}><Rule><ID>x</ID></Rule></{root}>");
        assert_eq!(client.send("PUT", &path, &[], body.as_bytes()).error(), (400, "InvalidRequest".into()));
        assert_eq!(client.summed("PUT", &path, &[], b"<Other/>").error(), (400, "MalformedXML".into()));
        assert_eq!(client.summed("PUT", &path, &[], body.as_bytes()).status, 200);
        assert_eq!(client.send("GET", &path, &[], b"").body, body.as_bytes());
        assert_eq!(client.send("DELETE", &path, &[], b"").status, 204);
        assert_eq!(client.send("GET", &path, &[], b"").status, absent);
    }
}

#[test]
fn buckets_are_made_found_and_removed_only_when_empty() {
    let (_server, client) = server();
    let lock = [("x-amz-bucket-object-lock-enabled", "true")];
    assert_eq!(client.send("PUT", "second", &lock, b"").status, 200);
    assert_eq!(client.send("PUT", "second", &lock, b"").error(), (409, "BucketAlreadyOwnedByYou".into()));
    assert_eq!(client.send("GET", "second?versioning", &[], b"").xml("Status"), "Enabled");
    assert_eq!(client.send("GET", "", &[], b"").all("Name"), ["ice", "second"]);
    assert_eq!(client.send("HEAD", "second", &[], b"").headers["x-amz-bucket-region"], "us-east-1");
    assert_eq!(client.send("GET", "second?location", &[], b"").status, 200);
    client.summed("PUT", "second/a", &[], b"x");
    client.send("DELETE", "second/a", &[], b"");
    assert_eq!(client.send("DELETE", "second", &[], b"").error(), (409, "BucketNotEmpty".into()));
    assert_eq!(client.send("DELETE", "absent", &[], b"").error(), (404, "NoSuchBucket".into()));
}

#[test]
fn every_setting_is_refused_to_whom_it_is_not_permitted_and_kept_for_others() {
    let (server, admin) = server();
    assert_eq!(admin.summed("PUT", "ice/a", &[], b"x").status, 200);
    let id = server.versions("ice", "a")[0].version_id.clone();
    let writer =
        crate::client::user(&server, vec![fake_s3::Statement::allow(&["s3:PutObject", "s3:ListBucket"])]);
    let mut refused = 0;
    for (mark, root) in [
        ("accelerate", "AccelerateConfiguration"),
        ("acl", "AccessControlPolicy"),
        ("analytics&id=a", "AnalyticsConfiguration"),
        ("cors", "CORSConfiguration"),
        ("intelligent-tiering&id=a", "IntelligentTieringConfiguration"),
        ("inventory&id=a", "InventoryConfiguration"),
        ("logging", "BucketLoggingStatus"),
        ("metrics&id=a", "MetricsConfiguration"),
        ("notification", "NotificationConfiguration"),
        ("ownershipControls", "OwnershipControls"),
        ("publicAccessBlock", "PublicAccessBlockConfiguration"),
        ("replication", "ReplicationConfiguration"),
        ("requestPayment", "RequestPaymentConfiguration"),
        ("tagging", "Tagging"),
        ("website", "WebsiteConfiguration"),
    ] {
        let mut places = vec![format!("ice?{mark}")];
        if matches!(mark, "acl" | "tagging") {
            places.extend([format!("ice/a?{mark}"), format!("ice/a?{mark}&versionId={id}")]);
        }
        for place in places {
            let put = |client: &crate::client::Client, body: &str| {
                client.summed("PUT", &place, &[], body.as_bytes()).error()
            };
            assert_eq!(put(&writer, "<not"), (403, "AccessDenied".into()), "{place}: who asks comes first");
            assert_eq!(put(&admin, "<not"), (400, "MalformedXML".into()), "{place}");
            assert_eq!(put(&admin, "<Other/>"), (400, "MalformedXML".into()), "{place}");
            assert_eq!(put(&admin, &format!("<{root}/>")).0, 200, "{place}");
            refused += 1;
        }
    }
    assert_eq!(refused, 19);
    assert_eq!(admin.send("GET", "ice/a?tagging", &[], b"").body, b"<Tagging/>");
    assert_eq!(admin.send("DELETE", "ice/a?tagging", &[], b"").status, 204);
    assert_eq!(admin.send("GET", "ice/a?tagging", &[], b"").status, 404);
}

#[test]
fn public_access_is_shown_as_it_was_set_and_a_policy_tells_whether_it_is_public() {
    let (_server, client) = server();
    let get = |what: &str| client.send("GET", &format!("ice?{what}"), &[], b"");
    let absent = "NoSuchPublicAccessBlockConfiguration".to_owned();
    assert_eq!(get("publicAccessBlock").error(), (404, absent.clone()));
    let body = "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>";
    assert_eq!(client.summed("PUT", "ice?publicAccessBlock", &[], body.as_bytes()).status, 200);
    assert_eq!(get("publicAccessBlock").xml("BlockPublicAcls"), "true");
    assert_eq!(client.send("DELETE", "ice?publicAccessBlock", &[], b"").status, 204);
    assert_eq!(get("publicAccessBlock").error(), (404, absent));

    assert_eq!(get("policyStatus").error(), (404, "NoSuchBucketPolicy".into()));
    let policy = |principal: &str, condition: &str| {
        let text = format!(
            "{{\"Statement\":[{{\"Effect\":\"Allow\",\"Principal\":{principal},\"Action\":\"s3:GetObject\",\"Resource\":\"*\"{condition}}}]}}"
        );
        assert_eq!(client.summed("PUT", "ice?policy", &[], text.as_bytes()).status, 204);
        get("policyStatus").xml("IsPublic")
    };
    assert_eq!(policy("\"*\"", ""), "true");
    assert_eq!(policy("{\"AWS\":\"arn:aws:iam::1:user/writer\"}", ""), "false");
    assert_eq!(policy("\"*\"", ",\"Condition\":{\"Bool\":{\"aws:SecureTransport\":\"true\"}}"), "false");
}

#[test]
fn a_deletion_on_a_condition_that_does_not_hold_leaves_no_marker() {
    let (server, client) = server();
    let delete = |key: &str, tag: &str| client.send("DELETE", key, &[("if-match", tag)], b"").status;
    assert_eq!(delete("ice/never", "\"0\""), 404);
    assert!(server.versions("ice", "never").is_empty());
    client.summed("PUT", "ice/a", &[], b"x");
    assert_eq!(delete("ice/a", "\"0\""), 412);
    assert_eq!(server.versions("ice", "a").len(), 1);
    assert_eq!(delete("ice/a", "*"), 204);
    assert_eq!(server.versions("ice", "a").len(), 2);
}
