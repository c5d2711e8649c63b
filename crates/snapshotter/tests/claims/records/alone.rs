//! Two changes of hosts at the same time.

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use durable::{Dir, Lock, Name};

use super::Server;

/// Longer than any machine needs to start a program.
const PATIENCE: Duration = Duration::from_secs(60);

impl Server {
    /// What another process that changes hosts holds. The file is there, from the first change on.
    fn hold(&self) -> Lock {
        let jails = Dir::open_root(&self.world.path("jails")).unwrap();
        jails.try_lock(Name::literal(".lock")).unwrap().expect("nobody else holds it")
    }

    fn begin(&self, words: &[&str]) -> Child {
        let said = fs::File::create(self.world.path(&format!("said-{}", words[1]))).unwrap();
        self.world.command(words).stdout(Stdio::null()).stderr(said).spawn().unwrap()
    }

    fn said(&self, verb: &str) -> String {
        fs::read_to_string(self.world.path(&format!("said-{verb}"))).unwrap()
    }

    fn until_it_waits(&self, verb: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.said(verb).contains("waiting for it") {
            assert!(Instant::now() < until, "host {verb} does not wait: {}", self.said(verb));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn code(mut child: Child) -> Option<i32> {
    child.wait().unwrap().code()
}

#[test]
fn a_retirement_while_the_host_is_added_again_is_not_lost() {
    let server = Server::new();
    server.added(&["--known-as", "db1"]);
    let held = server.hold();
    let key = server.key.as_str();
    let add = server.begin(&["host", "add", "db1", "--key", key, "--user-mode", "--hours", "4"]);
    server.until_it_waits("add");
    let retired = "known_as = \"db1\"\nretired = \"2026-11-21T10:00:00Z\"\n";
    server.put_record("db1", retired.as_bytes());
    drop(held);
    assert_eq!(code(add), Some(2), "{}", server.said("add"));
    assert!(server.said("add").contains("was retired on 2026-11-21"), "{}", server.said("add"));
    assert_eq!(server.record(), retired);
}

#[test]
fn who_adds_or_retires_a_host_waits_for_another_who_does_but_not_for_ever() {
    let server = Server::new();
    server.added(&["--known-as", "db1"]);
    let held = server.hold();
    let key = server.key.as_str();
    let add = ["host", "add", "db1", "--key", key, "--user-mode", "--hours", "4"];
    let before = [server.world.picture("jails"), server.world.picture("records")];
    let waiting = [server.begin(&add), server.begin(&["host", "retire", "db1"])];
    for child in waiting {
        assert_eq!(code(child), Some(10), "{}{}", server.said("add"), server.said("retire"));
    }
    // What only looks waits for nobody.
    assert_eq!(server.world.run(&[&add[..], &["--dry-run"]].concat()).code, 0);
    assert_eq!(server.world.run(&["host", "retire", "db1", "--dry-run"]).code, 0);
    assert_eq!([server.world.picture("jails"), server.world.picture("records")], before);
    drop(held);
    assert_eq!(server.world.run(&["host", "retire", "db1"]).code, 0);
}
