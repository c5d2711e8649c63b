//! Talk that is no session, and sessions that are no talk.

use pipeline_tests::rawpush::talk::{await_verdict, bye, go_on, new_push};
use pipeline_tests::rawpush::{Draft, Entry, Header, frame};

use super::case::Expect::{Accepted, Nothing, Refused};
use super::case::{Attack, Case, Expect, case};

fn small(header: &Header) -> Draft {
    Draft::whole(header, &[b"x"], &[Entry::file("f", b"x")])
}

fn talk(name: impl Into<String>, expect: Expect, bytes: impl Fn() -> Vec<u8> + 'static) -> Case {
    case(name, expect, move |_| Attack::Talk(bytes()))
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        talk("nothing at all", Nothing, Vec::new),
        talk("goodbye at once", Nothing, bye),
        talk("a goodbye, and a push after it", Nothing, || {
            [bye(), new_push(), small(&Header::new("evil", [0x77; 16], 1 << 40)).frames.concat()].concat()
        }),
        talk("`new` and no more", Nothing, new_push),
        talk("`new` twice", Refused(6), || [new_push(), new_push()].concat()),
        talk("`new` with a short version", Refused(6), || frame(16, &[1, 0])),
        talk("`new` with more than a version", Refused(6), || frame(16, &[1, 0, 0, 0, 0])),
        talk("`bye` with a payload", Refused(6), || frame(19, b"x")),
        talk("`await` without an id", Refused(6), || frame(18, &[0; 4])),
        talk("`go on` without a partial push", Refused(6), || go_on([5; 16], 3)),
        talk("`go on` with a short id", Refused(6), || frame(17, &[0; 10])),
        talk("the receiver's own refusal", Refused(6), || frame(66, &[1, 0, 0, 0, 0, 0])),
        talk("a browser", Refused(6), || b"GET / HTTP/1.1\r\nHost: backup\r\n\r\n".to_vec()),
        talk("an SSH greeting", Refused(6), || b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        talk("an rsync greeting", Refused(6), || b"@RSYNCD: 31.0\n".to_vec()),
        talk("a shell script", Refused(6), || b"#!/bin/sh\ncat /etc/passwd\n".to_vec()),
        talk("1 MiB of zeros", Refused(6), || vec![0; 1 << 20]),
        talk("1 MiB of ones", Refused(6), || vec![0xff; 1 << 20]),
        talk("eight bytes and the end", Nothing, || vec![16, 4, 0, 0, 0, 0, 0, 0]),
        talk("a push file as it lies on a disk", Refused(6), || {
            small(&Header::new("evil", [0x78; 16], 1 << 40)).bytes()
        }),
        case("an honest push, and 1 MiB of noise after it", Accepted, |facts| {
            Attack::Talk([new_push(), small(&facts.header).frames.concat(), vec![0xa5; 1 << 20]].concat())
        }),
        case("an honest push whose host hangs up after the seal", Accepted, |facts| {
            Attack::Talk([new_push(), small(&facts.header).frames.concat()].concat())
        }),
        case("an honest push, one byte at a time", Accepted, |facts| {
            let bytes = [new_push(), small(&facts.header).frames.concat(), bye()].concat();
            Attack::Act(Box::new(move |talk| bytes.chunks(1).for_each(|byte| talk.say(byte))))
        }),
        case("10,000 goodbyes", Nothing, |_| Attack::Talk(bye().repeat(10_000))),
    ];
    cases.extend(going_on());
    // A session that ends anywhere leaves nothing sealed.
    let draft = small(&Header::new("evil", [0; 16], 1));
    let whole = new_push().len() + draft.frames.concat().len();
    for cut in (0..whole).step_by(13).chain([whole - 1]) {
        cases.push(case(format!("a session cut after {cut} of {whole} bytes"), Nothing, move |facts| {
            let mut bytes = [new_push(), small(&facts.header).frames.concat()].concat();
            bytes.truncate(cut);
            Attack::Talk(bytes)
        }));
    }
    cases
}

/// Abuse of going on: each needs a partial push first, which it makes itself in an earlier session of the same case.
fn going_on() -> Vec<Case> {
    let after = |name: &'static str, expect: Expect, rest: fn(&Draft) -> Vec<u8>| {
        case(name, expect, move |facts| {
            let draft = small(&facts.header);
            let first = [new_push(), draft.frames[..2].concat()].concat();
            Attack::Twice(first, rest(&draft))
        })
    };
    vec![
        after("going on, honestly", Accepted, |draft| {
            let file = Entry::file("f", b"x");
            let mut going = draft.clone();
            going.frames.truncate(2);
            let going = going.frame(4, &[]).changes(&[pipeline_tests::rawpush::put(&file)]).sealed(&[file]);
            [go_on(id(draft), 2), going.frames[2..].concat(), bye()].concat()
        }),
        after("going on with more frames than there are", Refused(6), |draft| go_on(id(draft), 3)),
        after("going on with fewer frames than there are", Refused(6), |draft| go_on(id(draft), 1)),
        after("going on with 2^64 frames", Refused(6), |draft| go_on(id(draft), u64::MAX)),
        after("going on with another push", Refused(6), |_| go_on([6; 16], 2)),
        after("going on without a resume frame", Refused(6), |draft| {
            [go_on(id(draft), 2), draft.frames[2..].concat()].concat()
        }),
        after("going on with a header", Refused(6), |draft| {
            [go_on(id(draft), 2), draft.frames[0].clone()].concat()
        }),
        after("going on twice", Refused(6), |draft| go_on(id(draft), 2).repeat(2)),
        after("going on with a seal that knows no resume frame", Refused(20), |draft| {
            [go_on(id(draft), 2), frame(4, &[]), draft.frames[2..].concat()].concat()
        }),
        after("awaiting the partial push", Nothing, |draft| [await_verdict(id(draft), 0), bye()].concat()),
    ]
}

fn id(draft: &Draft) -> [u8; 16] {
    let start = 9 + 1 + "evil".len() + 16;
    draft.frames[0][start..start + 16].try_into().unwrap()
}
