//! Blocks that expand to more, to less, or to nothing good.

use pipeline_tests::rawpush::draft::BLOCK_BYTES;
use pipeline_tests::rawpush::{Draft, Entry, Records, put};

use super::case::Expect::{Accepted, Refused, Rejected};
use super::case::{Attack, Case, Expect, case};

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 3).unwrap()
}

/// So many zeros, in one zstd frame that does not tell its size.
fn zeros(mebibytes: usize) -> Vec<u8> {
    let mut to = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    for _ in 0..mebibytes {
        std::io::Write::write_all(&mut to, &[0; 1 << 20]).unwrap();
    }
    to.finish().unwrap()
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap()
}

/// The honest records of one small content.
fn records() -> Vec<u8> {
    Records::new().content(b"x").0
}

/// A push of one small file, whose only contents frame is this block.
fn block(
    name: &'static str,
    expect: Expect,
    codec: u8,
    expanded: usize,
    packed: impl Fn() -> Vec<u8> + 'static,
) -> Case {
    case(name, expect, move |facts| {
        let file = Entry::file("f", b"x");
        let draft = Draft::new(&facts.header).block(2, codec, length(expanded), &packed());
        Attack::Push(draft.changes(&[put(&file)]).sealed(&[file]))
    })
}

/// A content of so many MiB of zeros, in honest blocks.
fn mebibytes(name: &'static str, expect: Expect, codec: u8, count: usize) -> Case {
    case(name, expect, move |facts| {
        let data = vec![0; BLOCK_BYTES - 5];
        let one = Records::new().data(&data).0;
        let packed = if codec == 1 { zstd(&one) } else { one };
        let mut draft = Draft::new(&facts.header);
        for _ in 0..count {
            draft = draft.block(2, codec, length(BLOCK_BYTES), &packed);
        }
        let whole = vec![0; count * data.len()];
        let file = Entry::file("zeros", &whole);
        let end = Records::new().end(whole.len() as u64, *blake3::hash(&whole).as_bytes());
        Attack::Push(draft.contents(&end).changes(&[put(&file)]).sealed(&[file]))
    })
}

pub(super) fn cases() -> Vec<Case> {
    let len = records().len();
    let mut cases = vec![
        block("a packed block, honestly", Accepted, 1, len, || zstd(&records())),
        block("a block that expands to more than it says", Rejected(21), 1, len, || zstd(&[0; 1 << 16])),
        block("a block of 10 bytes that expands to 1 GiB", Rejected(21), 1, 10, || zeros(1024)),
        block("a block of 1 MiB that expands to 1 GiB", Rejected(21), 1, BLOCK_BYTES, || zeros(1024)),
        block("a block that expands to less than it says", Rejected(21), 1, len + 1, || zstd(&records())),
        block("a block that expands to nothing", Rejected(21), 1, len, || zstd(b"")),
        block("a block of no bytes", Rejected(21), 0, 0, Vec::new),
        block("a packed block of no bytes", Rejected(21), 1, 0, || zstd(b"")),
        block("a block larger than any may be", Rejected(21), 1, BLOCK_BYTES + 1, || {
            zstd(&[0; BLOCK_BYTES + 1])
        }),
        block("a block of 4 GiB", Rejected(21), 1, u32::MAX as usize, || zeros(1)),
        block("a codec of number 2", Rejected(21), 2, len, records),
        block("a codec of number 255", Rejected(21), 255, len, records),
        block("a stored block longer than it says", Rejected(21), 0, len - 1, records),
        block("a stored block shorter than it says", Rejected(21), 0, len + 1, records),
        block("noise in place of a packed block", Rejected(21), 1, len, || vec![0xa5; 500]),
        block("half a packed block", Rejected(21), 1, 1 << 16, || {
            let mut packed = zstd(&(0..1u32 << 14).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
            packed.truncate(packed.len() / 2);
            packed
        }),
        block("bytes after a packed block", Rejected(21), 1, len, || [zstd(&records()), vec![0]].concat()),
        block("two packed blocks in one", Rejected(21), 1, len, || {
            let (head, tail) = (records()[..6].to_vec(), records()[6..].to_vec());
            [zstd(&head), zstd(&tail)].concat()
        }),
        block("a part that a decoder skips", Rejected(21), 1, len, || {
            [0x184D_2A50u32.to_le_bytes().as_slice(), &4u32.to_le_bytes(), b"skip", &zstd(&records())]
                .concat()
        }),
        // Magic; a window of 2 GiB; one stored block. It expands to what it says: nobody gives it the window.
        block("a packed block that wants a window of 2 GiB", Accepted, 1, len, || {
            let body = records();
            let head = (length(body.len()) << 3 | 1).to_le_bytes();
            [0xFD2F_B528u32.to_le_bytes().as_slice(), &[0x00, 21 << 3], &head[..3], &body].concat()
        }),
        block("a packed block that wants a dictionary", Rejected(21), 1, len, || {
            let body = records();
            let head = (length(body.len()) << 3 | 1).to_le_bytes();
            [0xFD2F_B528u32.to_le_bytes().as_slice(), &[0x01, 0x00, 7], &head[..3], &body].concat()
        }),
    ];
    cases.extend(budgets());
    cases
}

/// Lawful blocks, too many of them.
fn budgets() -> Vec<Case> {
    vec![
        mebibytes("as much as this host may expand, honestly", Accepted, 1, 15),
        mebibytes("a few KiB that expand to more than this host may", Rejected(26), 1, 64),
        mebibytes("more than this host may send in one push", Refused(3), 0, 25),
        case("more entries than this host may have", Refused(3), |facts| {
            let entries: Vec<Entry> =
                (0..70_001).map(|number| Entry::symlink(format!("l{number:06}"), b"x")).collect();
            Attack::Push(Draft::whole(&facts.header, &[], &entries))
        }),
        case("more changes than entries can come of, expanded from little", Rejected(21), |facts| {
            let one = put(&Entry::symlink("l", b"x")).repeat(15_000);
            let draft = Draft::new(&facts.header).block(3, 1, length(one.len()), &zstd(&one));
            Attack::Push(draft.sealed(&[Entry::symlink("l", b"x")]))
        }),
        case("entries that are nothing but zeros, expanded from little", Rejected(21), |facts| {
            let draft = Draft::new(&facts.header).block(3, 1, length(BLOCK_BYTES), &zstd(&[0; BLOCK_BYTES]));
            Attack::Push(draft.sealed(&[]))
        }),
        case("100,000 frames that say nothing", Accepted, |facts| {
            let file = Entry::file("f", b"x");
            let mut draft = Draft::new(&facts.header);
            for _ in 0..100_000 {
                draft = draft.frame(4, &[]);
            }
            let draft = draft.contents(&Records::new().content(b"x"));
            Attack::Push(draft.changes(&[put(&file)]).sealed(&[file]))
        }),
        case("250,000 contents that nothing refers to", Rejected(26), |facts| {
            let file = Entry::file("f", b"x");
            let end = Records::new().content(b"").0;
            let block = end.repeat(BLOCK_BYTES / end.len());
            let mut draft = Draft::new(&facts.header);
            for _ in 0..10 {
                draft = draft.block(2, 1, length(block.len()), &zstd(&block));
            }
            let draft = draft.contents(&Records::new().content(b"x"));
            Attack::Push(draft.changes(&[put(&file)]).sealed(&[file]))
        }),
    ]
}
