//! Contents that are offered before they are sent.

use formats::push::Header;
use formats::session::{ClientMessage, Had, Offer, Role, ServerMessage};
use formats::{ContentHash, Root};
use wire::client::{Incoming, Outgoing, WireError};
use wire::server::Jail;

use crate::samples::*;

const LENDER: Root = Root::from_bytes([5; 32]);

fn contents(count: u8) -> Vec<ContentHash> {
    (0..count).map(|n| ContentHash::of(&[n])).collect()
}

fn offered(count: u8) -> Vec<u8> {
    let mut to = Vec::new();
    wire::client::offer(Offer::new(contents(count)).unwrap(), &mut to).unwrap();
    to
}

/// A push with offers among its contents; the same without them.
fn sessions() -> (Vec<u8>, Vec<u8>) {
    let lent = Header { lender: Some(LENDER), ..header() };
    let both = [true, false].map(|offers| {
        let mut to = said(ClientMessage::Hello { minor: 2, role: Role::Usual });
        let mut push = Outgoing::open_new(&lent, &mut to).unwrap();
        for count in [1, 9, 200] {
            to.extend(offered(count).into_iter().filter(|_| offers));
            push.contents(&block(&[count; 70]), &mut to).unwrap();
        }
        to.extend(offered(3).into_iter().filter(|_| offers));
        push.entries(&block(b"changes"), &mut to).unwrap();
        push.seal(FACTS, &mut to).unwrap();
        to
    });
    both.into()
}

#[test]
fn offers_are_handed_out_in_order_and_are_no_part_of_the_push_file() {
    let (with, without) = sessions();
    let plain = obey(jail(), &without, usize::MAX);
    assert_eq!((plain.sealed.as_slice(), plain.offered.len()), (&[PUSH][..], 0));
    for piece in [1, 7, 100, usize::MAX] {
        let deeds = obey(jail(), &with, piece);
        let expected: Vec<_> =
            [1, 9, 200, 3].into_iter().flat_map(contents).map(|content| (LENDER, content)).collect();
        assert_eq!(deeds.offered, expected, "pieces of {piece}");
        assert_eq!((deeds.file, deeds.refused), (plain.file.clone(), None));
    }
}

#[test]
fn a_push_that_goes_on_offers_against_the_lender_it_began_with() {
    let (with, _) = sessions();
    let hello = said(ClientMessage::Hello { minor: 2, role: Role::Usual });
    let file = obey(jail(), &with[..with.len() - 150], usize::MAX).file;
    let partial = scanned(&file, 100).unwrap();
    let mut bytes = hello;
    let mark = partial.tally.mark();
    Outgoing::go_on(PUSH, mark, &mut bytes).unwrap();
    bytes.extend(offered(2));
    let deeds = obey(Jail { partial: Some(partial), ..jail() }, &bytes, 50);
    let expected: Vec<_> = contents(2).into_iter().map(|content| (LENDER, content)).collect();
    assert_eq!((deeds.offered, deeds.refused), (expected, None));
}

#[test]
fn an_answer_counts_only_for_the_oldest_offer_and_only_if_it_fits() {
    let told = |message: ServerMessage| {
        let mut to = Vec::new();
        message.encode(&mut to).unwrap();
        to
    };
    let greeting = told(obey(jail(), b"", 1).answers.remove(0));
    let had = |count: u8| {
        let offer = Offer::new(contents(count)).unwrap();
        told(ServerMessage::Had(Had::answer(&offer, |_| Ok::<_, ()>(true)).unwrap()))
    };
    let hear = |answers: Vec<Vec<u8>>| {
        let mut incoming = Incoming::new();
        [9usize, 200].into_iter().for_each(|count| incoming.expect_had(count));
        incoming.feed(&[greeting.clone(), answers.concat()].concat());
        (0..=answers.len()).try_for_each(|_| incoming.next().map(drop))
    };
    assert_eq!(hear(vec![had(9), had(200)]), Ok(()));
    let unasked = Err(WireError::Unasked { message: "had" });
    assert_eq!(hear(vec![had(200), had(9)]), unasked, "in another order");
    assert_eq!(hear(vec![had(9), had(200), had(200)]), unasked, "one too many");
    assert_eq!(hear(vec![had(8)]), unasked, "too short");
    assert_eq!(hear(vec![had(10)]), unasked, "a content that was not offered is had");
}
