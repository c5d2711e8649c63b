//! Contents that a client could send, and which of them need not be sent.

use crate::cursor::{Cursor, Malformed, malformed};
use crate::id::ContentHash;
use crate::limits::OFFER;

const HASH_BYTES: usize = 32;
const BITS: usize = 8;

/// Hashes of contents: at least one, at most [`OFFER`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer(Vec<ContentHash>);

/// One bit for each content of an offer, in its order: whether the lender has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Had(Vec<u8>);

impl Offer {
    /// Of these contents; none if they are none or too many.
    pub fn new(contents: Vec<ContentHash>) -> Option<Self> {
        (1..=OFFER).contains(&contents.len()).then_some(Self(contents))
    }

    /// The contents, in the order of the answer.
    pub fn contents(&self) -> &[ContentHash] {
        &self.0
    }

    pub(super) fn encode(&self, to: &mut Vec<u8>) -> Result<(), Malformed> {
        self.0.iter().for_each(|content| to.extend_from_slice(content.as_bytes()));
        Ok(())
    }

    pub(super) fn decode(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let bytes = from.rest().len();
        let count = bytes / HASH_BYTES;
        if !(1..=OFFER).contains(&count) || !bytes.is_multiple_of(HASH_BYTES) {
            return malformed("offer");
        }
        let mut contents = Vec::with_capacity(count);
        for _ in 0..count {
            contents.push(ContentHash::from_bytes(from.array("offer")?));
        }
        Ok(Self(contents))
    }
}

impl Had {
    /// The answer to `offer`: asks for each of its contents.
    pub fn answer<E>(offer: &Offer, mut has: impl FnMut(&ContentHash) -> Result<bool, E>) -> Result<Self, E> {
        let mut bits = vec![0u8; offer.0.len().div_ceil(BITS)];
        for (group, byte) in offer.0.chunks(BITS).zip(&mut bits) {
            for (bit, content) in group.iter().enumerate() {
                *byte |= u8::from(has(content)?) << bit;
            }
        }
        Ok(Self(bits))
    }

    /// The answer of one who has none of them.
    pub fn none(offer: &Offer) -> Self {
        Self(vec![0; offer.0.len().div_ceil(BITS)])
    }

    /// Whether the lender has the content at this place of the offer.
    pub fn has(&self, place: usize) -> bool {
        self.0.get(place / BITS).is_some_and(|byte| byte >> (place % BITS) & 1 == 1)
    }

    /// Whether it can be the answer to an offer of so many contents: as long as needed, and nothing said of contents that were not offered.
    pub fn answers(&self, contents: usize) -> bool {
        let spare = (self.0.len() * BITS).saturating_sub(contents);
        self.0.len() == contents.div_ceil(BITS)
            && self.0.last().is_some_and(|last| last.leading_zeros() as usize >= spare)
    }

    pub(super) fn encode(&self, to: &mut Vec<u8>) -> Result<(), Malformed> {
        to.extend_from_slice(&self.0);
        Ok(())
    }

    pub(super) fn decode(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let bytes = from.rest().len();
        if !(1..=OFFER.div_ceil(BITS)).contains(&bytes) {
            return malformed("had");
        }
        Ok(Self(from.bytes(bytes, "had")?.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(count: usize) -> Vec<ContentHash> {
        (0..count).map(|n| ContentHash::of(&n.to_le_bytes())).collect()
    }

    #[test]
    fn an_answer_says_for_each_content_what_was_asked_and_nothing_of_others() {
        for count in [1, 7, 8, 9, 64, 65, OFFER] {
            let offer = Offer::new(contents(count)).unwrap();
            let has = |place: usize| place.is_multiple_of(3) || place + 1 == count;
            let mut place = 0..;
            let had = Had::answer(&offer, |_| Ok::<_, ()>(has(place.next().unwrap()))).unwrap();
            assert!((0..count).all(|place| had.has(place) == has(place)), "{count}");
            assert!(!had.has(count) && !had.has(usize::MAX));
            assert!(had.answers(count));
            assert!(!had.answers(count - 1) && !had.answers(count + 8), "{count}: its last content is had");
        }
    }

    #[test]
    fn an_offer_of_none_or_of_too_many_is_none() {
        assert_eq!(Offer::new(Vec::new()), None);
        assert_eq!(Offer::new(contents(OFFER + 1)), None);
        for bytes in [0, 1, 31, 33, (OFFER + 1) * HASH_BYTES] {
            assert!(Offer::decode(&mut Cursor::new(&vec![0; bytes])).is_err(), "{bytes}");
        }
        assert!(Offer::decode(&mut Cursor::new(&vec![0; OFFER * HASH_BYTES])).is_ok());
        assert!(Had::decode(&mut Cursor::new(&[0; 0])).is_err());
        assert!(Had::decode(&mut Cursor::new(&[0; 257])).is_err());
        assert!(Had::decode(&mut Cursor::new(&[0; 256])).is_ok());
    }
}
