//! What the pushes of these tests hold, and whether a sealed file is a whole one.

use pipeline_tests::checker::spool::push_of;
use pipeline_tests::data::Numbers;
use pipeline_tests::rawpush::talk::{go_on, new_push};
use pipeline_tests::rawpush::{Draft, Entry, Header, Records, frame, put, remove, root_of};

/// Three blocks.
const BIG_BYTES: usize = 5 << 19;
/// A record and its head fit into a block.
const PIECE_BYTES: usize = 900_000;
/// Of the frames of a sample: where the big content begins, and where the changes do.
const BIG_FRAME: usize = 2;
const CHANGES_FRAME: usize = 5;

/// A state, and the push that makes it of the one before.
pub(super) struct Sample {
    pub(super) push: [u8; 16],
    pub(super) draft: Draft,
    entries: Vec<Entry>,
}

impl Sample {
    /// Number `number` of its host: a file goes, one comes, two change, one of them of two names.
    pub(super) fn new(host: &str, number: u64, base: Option<&Sample>) -> Sample {
        let (big, small) = (noise(number, BIG_BYTES), number.to_string());
        let hard = format!("hard {number}");
        let mut entries = vec![
            Entry::folder("etc"),
            Entry::file("etc/keep", b"keep\n"),
            Entry::symlink("etc/link", b"keep"),
            Entry::file(format!("etc/new-{number:06}"), small.as_bytes()),
            Entry::file("etc/one", hard.as_bytes()).links(3),
            Entry::link("etc/three", b"etc/one"),
            Entry::link("etc/two", b"etc/one"),
            Entry::folder("var"),
            Entry::file("var/big", &big),
            Entry::folder("var/empty").mode(0o700),
            Entry::file("var/nothing", b""),
            Entry::of(5, "var/pipe", Vec::new()),
        ];
        let mut push = [0xcc; 16];
        push[..8].copy_from_slice(&number.to_le_bytes());
        let header = Header::new(host, push, number);
        let header = base.map_or(header.clone(), |base| header.on(base.root()));
        let mut changes: Vec<(Vec<u8>, Vec<u8>)> =
            entries.iter().map(|entry| (entry.path.clone(), put(entry))).collect();
        for old in base.iter().flat_map(|base| &base.entries) {
            match entries.iter().find(|entry| entry.path == old.path) {
                Some(same) if same == old => changes.retain(|(path, _)| *path != old.path),
                Some(_) => {}
                None => changes.push((old.path.clone(), remove(&old.path))),
            }
        }
        // No name here holds a byte below the slash, so this is the order of manifests.
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        changes.sort();
        let changes: Vec<_> = changes.into_iter().map(|(_, change)| change).collect();
        let small = Records::new().content(b"keep\n").content(small.as_bytes()).content(hard.as_bytes());
        let mut draft = Draft::new(&header).contents(&small.content(b""));
        let pieces: Vec<_> = big.chunks(PIECE_BYTES).collect();
        let (last, pieces) = pieces.split_last().unwrap();
        for piece in pieces {
            draft = draft.contents(&Records::new().data(piece));
        }
        let end = Records::new().data(last).end(BIG_BYTES as u64, *blake3::hash(&big).as_bytes());
        let draft = draft.contents(&end).changes(&changes).sealed(&entries);
        assert_eq!(draft.frames.len(), CHANGES_FRAME + 2);
        Sample { push, draft, entries }
    }

    pub(super) fn root(&self) -> [u8; 32] {
        root_of(&self.entries)
    }

    /// The push of a host that goes on after `frames` frames of `sent` that arrived, whole, and what it says for that.
    pub(super) fn go_on(&self, sent: &Draft, frames: u64) -> (Draft, Vec<u8>) {
        let arrived = usize::try_from(frames).unwrap();
        assert!((1..sent.frames.len()).contains(&arrived), "{arrived} frames arrived");
        let mut again = Draft { head: sent.head.clone(), frames: sent.frames[..arrived].to_vec() };
        let big_is_open = again.frames.last() != Some(&self.draft.frames[CHANGES_FRAME - 1]);
        let is_changing = again.frames.iter().any(|frame| frame[0] == 3);
        // What was open is forgotten, and sent again from its start.
        let from = match arrived {
            1 => 1,
            _ if big_is_open && !is_changing => BIG_FRAME,
            _ => CHANGES_FRAME,
        };
        again.frames.push(frame(4, &[]));
        again.frames.extend_from_slice(&self.draft.frames[from..=CHANGES_FRAME]);
        let again = again.sealed(&self.entries);
        let said = [go_on(self.push, frames), again.frames[arrived..].concat()].concat();
        (again, said)
    }

    /// The push after it of a host on which nothing changed, and that brings a content which nothing of it names.
    pub(super) fn bringing(&self, header: &Header, content: &[u8]) -> Draft {
        let records = Records::new().content(content);
        Draft::new(&header.clone().on(self.root())).contents(&records).sealed(&self.entries)
    }

    /// What arrives of a host whose connection breaks within the big content, and the number of whole frames.
    pub(super) fn cut(&self) -> (Vec<u8>, u64) {
        let whole = BIG_FRAME + 2;
        let torn = &self.draft.frames[whole][..PIECE_BYTES / 4];
        ([new_push(), self.draft.frames[..whole].concat(), torn.to_vec()].concat(), whole as u64)
    }

    /// What a host says that begins.
    pub(super) fn whole(&self) -> Vec<u8> {
        [new_push(), self.draft.frames.concat()].concat()
    }
}

/// Whether a push file has whole frames only, the last of which is the seal, and the seal is right about the ones before.
pub(super) fn is_whole(file: &[u8]) -> bool {
    push_of(file).is_some()
}

/// Bytes that do not shrink.
pub(super) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut numbers = Numbers::new(seed);
    std::iter::repeat_with(|| numbers.draw().to_le_bytes()).flatten().take(bytes).collect()
}

#[test]
fn a_file_cut_or_damaged_anywhere_is_not_whole() {
    let file = Sample::new("web01", 1, None).draft.bytes();
    assert!(is_whole(&file));
    assert!(!is_whole(&[file.as_slice(), b"x"].concat()));
    for cut in (0..file.len()).step_by(100_003).chain([file.len() - 1]) {
        assert!(!is_whole(&file[..cut]), "cut at {cut}");
        let mut damaged = file.clone();
        damaged[cut] ^= 1;
        assert!(!is_whole(&damaged), "damaged at {cut}");
    }
}
