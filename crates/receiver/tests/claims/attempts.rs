//! What a jail remembers of the last sessions.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use formats::attempt::{self, Attempt, End, FILE_BYTES};
use formats::session::{Code, Role};

use crate::rig::*;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

fn attempts(jail: &Jail) -> Vec<Attempt> {
    let bytes = fs::read(jail.path("spool/incoming/attempts")).unwrap();
    assert!(bytes.len() <= FILE_BYTES);
    attempt::read(&bytes)
}

#[test]
fn every_session_leaves_a_bounded_record() {
    let jail = Jail::new(limits());
    let talk = |bytes: &[u8]| {
        let mut session = jail.start();
        session.base();
        session.send(bytes);
        session.end();
    };
    talk(&bye());
    seal_one(&jail, PUSH);
    (0..20).for_each(|_| talk(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    let mut held = jail.start();
    held.base();
    // Refused sessions beside the one that lives, all noting their end at once.
    let mut beside: Vec<Session> = (0..11).map(|_| jail.start()).collect();
    beside.iter_mut().for_each(|session| assert_eq!(session.refusal(), Code::Busy));
    beside.into_iter().for_each(|session| drop(session.end()));
    held.send(&bye());
    held.end();
    let found: Vec<_> = attempts(&jail).iter().map(|one| (one.end, one.count)).collect();
    let expected = [
        (End::Talked, 1),
        (End::Sealed, 1),
        (End::Refused(Code::Protocol), 20),
        (End::Refused(Code::Busy), 11),
        (End::Talked, 1),
    ];
    assert_eq!(found, expected);
    let times = attempts(&jail);
    assert!(times.iter().all(|one| (now() - one.last).abs() < 60 && one.first <= one.last));
}

#[test]
fn a_record_that_somebody_spoilt_harms_no_session_and_is_bounded_again() {
    let forged = Attempt {
        sequence: u64::MAX - 1,
        end: End::Sealed,
        role: Role::Emergency,
        first: i64::MIN,
        last: i64::MAX,
        count: u32::MAX,
    };
    let spoilt: [(&str, Vec<u8>); 4] = [
        ("long", vec![0xa5; 10 << 20]),
        ("forged", forged.encode().repeat(32)),
        ("cut", forged.encode()[..39].to_vec()),
        ("empty", Vec::new()),
    ];
    for (what, bytes) in spoilt {
        let jail = Jail::new(limits());
        fs::write(jail.path("spool/incoming/attempts"), bytes).unwrap();
        seal_one(&jail, PUSH);
        assert!(
            fs::metadata(jail.path("spool/incoming/attempts")).unwrap().len() <= FILE_BYTES as u64,
            "{what}"
        );
    }
    for what in ["folder", "link", "fifo"] {
        let jail = Jail::new(limits());
        let path = jail.path("spool/incoming/attempts");
        let outside = jail.path("outside");
        fs::write(&outside, b"untouched").unwrap();
        match what {
            "folder" => fs::create_dir(&path).unwrap(),
            "link" => std::os::unix::fs::symlink(&outside, &path).unwrap(),
            _ => assert!(Command::new("mkfifo").arg(&path).status().unwrap().success()),
        }
        let start = Instant::now();
        seal_one(&jail, PUSH);
        assert!(start.elapsed() < Duration::from_secs(5), "{what}");
        assert_eq!(fs::read(&outside).unwrap(), b"untouched", "{what}");
    }
}
