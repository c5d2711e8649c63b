//! Names, entries and their fields.

use super::*;

pub(super) fn names(cases: &mut Vec<Case>) {
    let long = [b'a'; 256];
    let deep = [b"a/".repeat(4_096), b"a".to_vec()].concat();
    let bad: [(&'static str, &[u8]); 17] = [
        ("an empty name", b""),
        ("the name .", b"."),
        ("the name ..", b".."),
        ("an absolute name", b"/etc"),
        ("a trailing slash", b"etc/"),
        ("a double slash", b"etc//x"),
        ("a dot in the middle", b"etc/./x"),
        ("dots in the middle", b"etc/../x"),
        ("dots at the start", b"../x"),
        ("dots at the end", b"etc/.."),
        ("many dots", b"../../../../../../../../etc/cron.d/x"),
        ("a NUL", b"etc/a\0b"),
        ("only a NUL", b"\0"),
        ("only a slash", b"/"),
        ("a component of 256 bytes", &long),
        ("4,097 components", &deep),
        ("a drive of another system's, with dots", b"c:\\/../x"),
    ];
    for (what, name) in bad {
        cases.push(changes(what, Code::MalformedPush, &folder_named(name)));
    }
    let removed = |name: &[u8]| [&[2u8][..], &(name.len() as u16).to_le_bytes(), name].concat();
    cases.push(changes("a remove of ..", Code::MalformedPush, &removed(b"..")));
    cases.push(changes("a remove of /etc", Code::MalformedPush, &removed(b"/etc")));
    cases.push(changes("a hard link to ..", Code::MalformedPush, &put(b"x", 4, &[2, 0, b'.', b'.'])));
    cases.push(changes(
        "a hard link to an absolute path",
        Code::MalformedPush,
        &put(b"x", 4, &[2, 0, b'/', b'x']),
    ));
    cases.push(changes("a name longer than its entry", Code::MalformedPush, &[1, 3, 0, 0, 0, 2, 255, 255]));
}

pub(super) fn entries(cases: &mut Vec<Case>) {
    let bad = Code::MalformedPush;
    let mut with = |what, code, new: Vec<Change>| {
        cases.push(parted(what, code, |push| push.changes = new));
    };
    let put = |name, item| Change::Put(entry(name, item));
    with("an entry below a file", bad, vec![put("etc/hosts/x", Item::Folder)]);
    with("an entry below a symlink", bad, vec![put("etc/link/x", Item::Folder)]);
    with("an entry below nothing", bad, vec![put("nothing/x", Item::Folder)]);
    with("a folder that is a file and has children", bad, vec![put("var", file(""))]);
    with(
        "a folder replaced by a symlink under its children",
        bad,
        vec![put("etc", Item::Symlink(b"/etc".to_vec()))],
    );
    with("a folder removed under its children", bad, vec![Change::Remove(path("etc"))]);
    with("a put of what is there", bad, vec![put("etc", Item::Folder)]);
    with("a remove of what is not there", bad, vec![Change::Remove(path("etc/zzz"))]);
    with("a name twice", bad, vec![put("x", Item::Folder), put("x", Item::Fifo)]);
    with("put and remove of one name", bad, vec![put("x", Item::Folder), Change::Remove(path("x"))]);
    with("names that descend", bad, vec![put("y", Item::Folder), put("x", Item::Folder)]);
    with("names in another order", bad, vec![put("x-", Item::Folder), put("x/y", Item::Folder)]);
    with("a hard link to nothing", bad, vec![put("x", Item::Link("nothing"))]);
    with("a hard link to itself", bad, vec![put("x", Item::Link("x"))]);
    with(
        "a hard link to a later name",
        bad,
        vec![put("x", Item::Link("y")), put("y", Item::First(2, vec![]))],
    );
    with("a hard link to a folder", bad, vec![put("x", Item::Link("etc"))]);
    with("a hard link to a hard link", bad, vec![put("x", Item::Link("var/b"))]);
    with("a hard link to a file of one name", bad, vec![put("x", Item::Link("etc/hosts"))]);
    with("a file of a content that nobody has", Code::MissingContent, vec![put("x", file("not sent"))]);
    with("a hard link's first removed", bad, vec![Change::Remove(path("var/a"))]);
    let lied = |size| {
        let mut lied = entry("x", file("new content"));
        if let Body::Node(node) = &mut lied.body {
            node.kind = Kind::File { size, content: ContentHash::of(b"new content") };
        }
        Change::Put(lied)
    };
    with("a file smaller than its content", Code::MissingContent, vec![lied(3)]);
    with("a file larger than its content", Code::MissingContent, vec![lied(1 << 60)]);
    let mut lied = entry("x", file("a prefix"));
    if let Body::Node(node) = &mut lied.body {
        node.kind = Kind::File { size: 0, content: ContentHash::of(b"a prefix") };
    }
    with("a file of the base's content and another size", Code::MissingContent, vec![Change::Put(lied)]);
    with("no changes", Code::WrongRoot, vec![]);
    with("1,001 entries", Code::OverBudget, many(1_001));
    with("fewer entries than sealed", Code::WrongRoot, vec![Change::Remove(path("etc-"))]);
}

fn many(count: usize) -> Vec<Change> {
    (0..count).map(|n| Change::Put(entry(&format!("x{n:05}"), Item::Folder))).collect()
}

pub(super) fn fields(cases: &mut Vec<Case>) {
    let bad = Code::MalformedPush;
    let none = [0u8, 0];
    let mut raw = |what, bytes: Vec<u8>| cases.push(changes(what, bad, &bytes));
    raw("an unknown kind of change", vec![3, 0, 0]);
    raw("a change cut short", vec![1, 200, 0, 0, 0, 1]);
    raw("an entry of 4 GiB", [&[1u8][..], &u32::MAX.to_le_bytes(), &[0; 64]].concat());
    raw("an unknown kind of entry", put(b"x", 9, &[meta(0, 0, 1), none.to_vec()].concat()));
    raw("kind 0", put(b"x", 0, &[meta(0, 0, 1), none.to_vec()].concat()));
    raw("a mode above 7777", put(b"x", 2, &[meta(0o10_000, 0, 1), none.to_vec()].concat()));
    raw("a second of more nanoseconds", put(b"x", 2, &[meta(0, 1_000_000_000, 1), none.to_vec()].concat()));
    raw("an inode without a name", put(b"x", 5, &[meta(0, 0, 0), none.to_vec()].concat()));
    raw("a folder of two names", put(b"x", 2, &[meta(0, 0, 2), none.to_vec()].concat()));
    raw("an empty symlink", put(b"x", 3, &[meta(0, 0, 1), none.to_vec(), none.to_vec()].concat()));
    raw("a symlink with a NUL", put(b"x", 3, &[meta(0, 0, 1), vec![1, 0, 0], none.to_vec()].concat()));
    raw("a symlink of 4,096 bytes", {
        put(b"x", 3, &[meta(0, 0, 1), vec![0, 16], vec![b'a'; 4096], none.to_vec()].concat())
    });
    raw("257 attributes", put(b"x", 2, &[meta(0, 0, 1), vec![1, 1]].concat()));
    raw("65,535 attributes", put(b"x", 2, &[meta(0, 0, 1), vec![255, 255]].concat()));
    raw("an unknown attribute", put(b"x", 2, &[meta(0, 0, 1), vec![1, 0, 7, 0, 0, 0, 0, 0, 0]].concat()));
    raw("an attribute of 4 GiB", {
        put(b"x", 2, &[meta(0, 0, 1), vec![1, 0, 16, 1, 0, b'n', 255, 255, 255, 255]].concat())
    });
    raw("attributes out of order", {
        let attribute = |name: u8| vec![16, 1, 0, name, 0, 0, 0, 0];
        put(b"x", 2, &[meta(0, 0, 1), vec![2, 0], attribute(b'b'), attribute(b'a')].concat())
    });
    raw("an attribute twice", {
        let attribute = vec![16, 1, 0, b'a', 0, 0, 0, 0];
        put(b"x", 2, &[meta(0, 0, 1), vec![2, 0], attribute.clone(), attribute].concat())
    });
    raw("bytes after an entry", put(b"x", 2, &[meta(0, 0, 1), none.to_vec(), vec![1]].concat()));
}
