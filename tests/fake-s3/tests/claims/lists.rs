use crate::client::server;

#[test]
fn objects_are_listed_in_pages_under_prefix_and_delimiter() {
    let (_server, client) = server();
    for key in ["a", "b/1", "b/2", "c", "d"] {
        client.summed("PUT", &format!("ice/{key}"), &[], b"x");
    }
    client.send("DELETE", "ice/d", &[], b"");
    let all = client.send("GET", "ice?list-type=2", &[], b"");
    assert_eq!(all.all("Key"), ["a", "b/1", "b/2", "c"]);
    let mut names = Vec::new();
    let mut path = "ice?list-type=2&max-keys=1&delimiter=%2F".to_owned();
    loop {
        let page = client.send("GET", &path, &[], b"");
        names.extend(page.all("Key"));
        names.extend(page.all("CommonPrefixes"));
        if page.xml("IsTruncated") == "false" {
            break;
        }
        path = format!(
            "ice?list-type=2&max-keys=1&delimiter=%2F&continuation-token={}",
            page.xml("NextContinuationToken")
        );
    }
    assert_eq!(names, ["a", "<Prefix>b/</Prefix>", "c"]);
    assert_eq!(client.send("GET", "ice?list-type=2&prefix=b%2F", &[], b"").all("Key"), ["b/1", "b/2"]);
}

#[test]
fn versions_are_listed_newest_first_in_pages() {
    let (server, client) = server();
    for key in ["a", "a", "b"] {
        client.summed("PUT", &format!("ice/{key}"), &[], b"x");
    }
    client.send("DELETE", "ice/a", &[], b"");
    let mut found = Vec::new();
    let mut path = "ice?versions&max-keys=1".to_owned();
    loop {
        let page = client.send("GET", &path, &[], b"");
        found.push((
            page.xml("Key"),
            page.xml("VersionId"),
            page.xml("IsLatest"),
            page.all("DeleteMarker").len(),
        ));
        if page.xml("IsTruncated") == "false" {
            break;
        }
        let (key, version) = (page.xml("NextKeyMarker"), page.xml("NextVersionIdMarker"));
        path = format!("ice?versions&max-keys=1&key-marker={key}&version-id-marker={version}");
    }
    let stored = |key: &str| {
        let versions = server.versions("ice", key).into_iter();
        let rows = versions
            .map(|v| (key.to_owned(), v.version_id, v.is_latest.to_string(), usize::from(v.delete_marker)));
        rows.collect::<Vec<_>>()
    };
    assert_eq!(found, [stored("a"), stored("b")].concat());
    assert_eq!(found.len(), 4);
}
