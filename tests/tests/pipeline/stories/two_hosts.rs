//! What one host hears, byte for byte, is the same whatever another host has on the server: nobody can ask the server whether others have a file.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use pipeline_tests::rawpush::talk::{await_verdict, bye, had, hello, new_push, offer, session};
use pipeline_tests::rawpush::{Answer, Draft, Entry, Header, Talk, frame, put, root_of};
use pipeline_tests::{Host, Options, Scratch};

use super::world::ACCEPTED;
use crate::rig;

const SHARED: &[u8] = b"what both hosts have";
const OWN: &[u8] = b"what one of them has";
const WAIT: Duration = Duration::from_secs(30);
const ASKING: &str = "asking";
const OTHER: &str = "others";

/// What the other host does, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Company {
    /// There is none.
    Alone,
    /// Its push with the same contents is a snapshot.
    Accepted,
    /// It waits, sealed.
    Queued,
    /// It is being sent all the while.
    AtOnce,
    /// Control: it is the asking host itself that pushed them before.
    Itself,
}

fn draft(host: &str, push: u8, contents: &[&[u8]], entries: &[Entry]) -> Draft {
    Draft::whole(&Header::new(host, [push; 16], u64::from(push)), contents, entries)
}

/// All that the receiver says to one who says this.
fn heard(scratch: &Scratch, host: &Host, words: &[u8]) -> Vec<u8> {
    let mut command = rig::receiver(scratch, host);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(words).unwrap();
    child.wait_with_output().unwrap().stdout
}

/// Everything that the asking host hears: while it pushes what the other has too, while it names what only the other sent, what became of it, and while
/// it offers both, as one that lost its state.
fn transcript(company: Company) -> Vec<Vec<u8>> {
    let mut scratch = rig::scratch(&Options::default());
    let root = [scratch.folder.join("hosts")];
    let asking = scratch.add_host(ASKING, &root).unwrap();
    let other = scratch.add_host(OTHER, &root).unwrap();
    let both = [Entry::file("f", SHARED), Entry::file("g", OWN)];
    let theirs = |host| draft(host, 9, &[SHARED, OWN], &both);
    let mut talk = None;
    match company {
        Company::Alone => {}
        Company::Accepted | Company::Queued => {
            assert!(!heard(&scratch, &other, &session(&theirs(OTHER))).is_empty());
        }
        Company::AtOnce => {
            let mut begun = Talk::start(rig::receiver(&scratch, &other).stderr(Stdio::null())).unwrap();
            assert!(matches!(begun.hear(WAIT), Some(Answer::Base(_))));
            begun.say(&[new_push(), theirs(OTHER).frames[..2].concat()].concat());
            talk = Some(begun);
        }
        Company::Itself => assert!(!heard(&scratch, &asking, &session(&theirs(ASKING))).is_empty()),
    }
    let ingest = || assert_eq!(scratch.ingest().unwrap().code, ACCEPTED);
    if matches!(company, Company::Accepted | Company::Itself) {
        ingest();
    }
    // The snapshotter is not there while the other's push has to wait.
    let judged = || {
        if company != Company::Queued {
            ingest()
        }
    };
    let (first, named) = ([Entry::file("f", SHARED)], [Entry::file("f", SHARED), Entry::file("g", OWN)]);
    let mut all = Vec::new();
    let verdict = |push| [await_verdict([push; 16], 0), bye()].concat();
    all.push(heard(&scratch, &asking, &session(&draft(ASKING, 1, &[SHARED], &first))));
    judged();
    all.push(heard(&scratch, &asking, &verdict(1)));
    // Named, and not sent. A base of its own is named only where there is one.
    let header = Header::new(ASKING, [2; 16], 2);
    let (header, new) = match company {
        Company::Queued => (header, named.as_slice()),
        _ => (header.on(root_of(&first)), &named[1..]),
    };
    let puts: Vec<_> = new.iter().map(put).collect();
    all.push(heard(&scratch, &asking, &session(&Draft::new(&header).changes(&puts).sealed(&named))));
    judged();
    all.push(heard(&scratch, &asking, &verdict(2)));
    all.push(heard(&scratch, &asking, &offering(root_of(&first))));
    drop(talk);
    all
}

/// A push of version 2 that takes contents from this state of its host, and offers what both have and what only the other has. It is never sealed.
fn offering(lender: [u8; 32]) -> Vec<u8> {
    let header = Header::new(ASKING, [3; 16], 3).lent_by(lender);
    let push = Draft::of_version(2, 0, &header);
    let hashes = [SHARED, OWN].map(|content| *blake3::hash(content).as_bytes());
    [hello(), frame(16, &[2, 0, 0, 0]), push.frames.concat(), offer(&hashes)].concat()
}

/// With code 23: a content that is missing.
fn is_told_missing(heard: &[u8]) -> bool {
    let verdict = [[2; 16].as_slice(), &[2], &23_u16.to_le_bytes()].concat();
    heard.windows(verdict.len()).any(|window| window == verdict)
}

#[test]
fn what_a_host_hears_does_not_depend_on_what_another_host_has() {
    let alone = transcript(Company::Alone);
    assert!(alone.iter().all(|heard| heard.starts_with(&frame(64, &[])[..1])), "no base message");
    let told = alone.iter().map(|heard| heard.escape_ascii().to_string()).collect::<Vec<_>>();
    assert!(is_told_missing(&alone[3]), "what it did not send is not missing: {told:#?}");
    // It has the first itself; that another host has the second is not said.
    assert!(alone[4].ends_with(&had(0b01)), "an offer is answered otherwise: {told:#?}");
    for company in [Company::Accepted, Company::AtOnce] {
        assert!(transcript(company) == alone, "{company:?}: it hears something else");
    }
    // While nothing is judged, nothing is judged for both.
    let waiting = transcript(Company::Queued);
    assert_eq!(waiting[0], alone[0]);
    assert!(waiting.iter().all(|heard| !is_told_missing(heard)));
}

/// What the host itself has changes what it hears: the comparison above can fail.
#[test]
fn control_what_a_host_hears_depends_on_what_it_has_itself() {
    let (alone, itself) = (transcript(Company::Alone), transcript(Company::Itself));
    assert_ne!(itself[0], alone[0]);
    assert_eq!(alone, transcript(Company::Alone), "twice the same is not the same");
}
