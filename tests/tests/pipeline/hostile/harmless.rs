//! What looks dangerous and is lawful: it becomes a snapshot, word for word, and nothing of it lives on the server.

use pipeline_tests::rawpush::{Draft, Entry};

use super::case::Expect::Accepted;
use super::case::{Attack, Case, case, whole};

const X: &[&[u8]] = &[b"x"];

fn lawful(name: &'static str, entries: impl Fn() -> Vec<Entry> + 'static) -> Case {
    whole(name, Accepted, X, entries)
}

fn named(name: &'static str, paths: &'static [&'static [u8]]) -> Case {
    lawful(name, move || {
        let mut paths = paths.to_vec();
        paths.sort_unstable();
        paths.iter().map(|path| Entry::file(*path, b"x")).collect()
    })
}

fn nested(names: &[String], last: Entry) -> Vec<Entry> {
    let mut entries: Vec<Entry> =
        (1..=names.len()).map(|depth| Entry::folder(names[..depth].join("/"))).collect();
    entries.push(last);
    entries
}

/// A root shell for whoever starts it, to a kernel that believes it.
const CAPABILITY: &[u8] = &[1, 0, 0, 2, 255, 255, 255, 255, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0];

pub(super) fn cases() -> Vec<Case> {
    vec![
        lawful("a file with every special bit, owned by root", || {
            vec![Entry { numbers: [0o7777, 0, 0], ..Entry::file("sh", b"x") }]
        }),
        lawful("a folder with every special bit", || {
            vec![Entry::folder("d").mode(0o7777), Entry::file("d/f", b"x")]
        }),
        lawful("a file with all capabilities", || {
            vec![Entry::file("sh", b"x").mode(0o4755).attribute(16, b"security.capability", CAPABILITY)]
        }),
        lawful("trusted, system and security attributes", || {
            let file = Entry::file("f", b"x").attribute(16, b"security.selinux", b"root\0");
            vec![file.attribute(16, b"system.posix_acl_access", &[2, 0, 0, 0]).attribute(
                16,
                b"trusted.overlay.opaque",
                b"y",
            )]
        }),
        lawful("an attribute of 65,536 bytes and an owner with a strange name", || {
            vec![Entry::file("f", b"x").attribute(1, b"", b"root\n; rm").attribute(
                16,
                b"user.x",
                &[0xa5; 65_536],
            )]
        }),
        lawful("256 attributes", || {
            vec![(0..256).fold(Entry::file("f", b"x"), |file, number| {
                file.attribute(16, format!("user.{number:03}").as_bytes(), b"v")
            })]
        }),
        lawful("a disk, the memory of the machine, and a terminal", || {
            vec![
                Entry::device(7, "mem", 1, 1),
                Entry::device(8, "sda", 8, 0),
                Entry::device(7, "tty", u32::MAX, u32::MAX),
            ]
        }),
        lawful("a named pipe and a socket", || {
            vec![Entry::of(5, "pipe", Vec::new()), Entry::of(6, "socket", Vec::new())]
        }),
        lawful("symlinks that lead out", || {
            let targets: [&[u8]; 6] =
                [b"/etc/passwd", b"../../../../../etc", b"../../log", b"/proc/self/fd/0", b".", b"////"];
            targets
                .iter()
                .enumerate()
                .map(|(number, target)| Entry::symlink(format!("l{number}"), target))
                .collect()
        }),
        lawful("a symlink to itself, and one of 4,095 bytes", || {
            vec![Entry::symlink("a", b"a"), Entry::symlink("b", &[b'/'; 4095])]
        }),
        lawful("files that a login shell would run", || {
            let mut entries = vec![Entry::folder(".ssh")];
            let names = [".ssh/authorized_keys", ".ssh/environment", ".ssh/rc"];
            entries.extend(names.iter().map(|name| Entry::file(*name, b"x").mode(0o755)));
            let names = [".bash_login", ".bashrc", ".forward", ".pam_environment", ".profile", ".rhosts"];
            entries.splice(0..0, [Entry::file(names[0], b"x"), Entry::file(names[1], b"x")]);
            entries.splice(2..2, names[2..5].iter().map(|name| Entry::file(*name, b"x")));
            entries.insert(5, Entry::file(names[5], b"x"));
            entries
        }),
        named(
            "names with line breaks, escapes and reversed text",
            &[
                b"\x1b[2J\x1b]0;owned\x07",
                b"a\nb",
                b"a\r\nfake log line",
                b"tab\there",
                b"\xe2\x80\xaegnp.exe",
                b"\xff\xfe not text",
            ],
        ),
        named(
            "names that a shell or a format would read",
            &[
                b"$(reboot)",
                b"%s%n%x",
                b"' OR 1=1",
                b"*",
                b"-rf",
                b";halt",
                b"\\x00",
                b"`id`",
                b"~",
                b"\xc2\xa0",
            ],
        ),
        named(
            "names of two cases and two spellings",
            &[b"FILE", b"File", b"cafe\xcc\x81", b"caf\xc3\xa9", b"file"],
        ),
        named(
            "names that the server uses itself",
            &[
                b".building",
                b".lock",
                b".readers",
                b"attempts",
                b"changes",
                b"current",
                b"intent",
                b"lock",
                b"log",
                b"manifests",
                b"tree",
            ],
        ),
        named(
            "names that are nearly paths",
            &[b"...", b"....", b".. ", b"..\\..\\x", b"..x", b"C:", b"%2e%2e%2f"],
        ),
        lawful("a name of 255 bytes", || vec![Entry::file(vec![b'n'; 255], b"x")]),
        lawful("a path longer than the system takes in one piece", || {
            let names = vec!["n".repeat(200); 40];
            let last = Entry::file(format!("{}/f", names.join("/")), b"x");
            nested(&names, last)
        }),
        lawful("4,095 folders, one in the other", || {
            let names = vec!["d".to_owned(); 4095];
            let last = Entry::file(format!("{}/f", names.join("/")), b"x");
            nested(&names, last)
        }),
        lawful("times from the beginning to the end", || {
            vec![
                Entry { mtime: (i64::MIN, 0), ..Entry::file("a", b"x") },
                Entry { mtime: (i64::MAX, 999_999_999), ..Entry::file("b", b"x") },
                Entry { mtime: (-1, 999_999_999), ..Entry::folder("c") },
            ]
        }),
        lawful("owners that nobody has", || {
            vec![Entry { numbers: [0o600, u32::MAX, u32::MAX], ..Entry::file("f", b"x") }]
        }),
        lawful("a file with names outside the push", || vec![Entry::file("f", b"x").links(u32::MAX)]),
        lawful("hard links of symlinks and devices", || {
            vec![
                Entry::symlink("a", b"/etc/shadow").links(2),
                Entry::link("b", b"a"),
                Entry::device(8, "c", 8, 0).links(2),
                Entry::link("d", b"c"),
            ]
        }),
        case("66,000 names of one inode", Accepted, |facts| {
            let mut entries = vec![Entry::file("l000000", b"x").links(66_000)];
            entries.extend((1..66_000).map(|number| Entry::link(format!("l{number:06}"), b"l000000")));
            Attack::Push(Draft::whole(&facts.header, X, &entries))
        }),
        case("66,000 files of one content", Accepted, |facts| {
            let entries: Vec<_> =
                (0..66_000).map(|number| Entry::file(format!("f{number:06}"), b"x")).collect();
            Attack::Push(Draft::whole(&facts.header, X, &entries))
        }),
    ]
}
