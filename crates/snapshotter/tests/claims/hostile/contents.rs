//! Contents, and blocks that expand to more than they may.

use super::*;

pub(super) fn contents(cases: &mut Vec<Case>) {
    let hash = ContentHash::of(b"new content");
    let end = |size, hash| Record::End { size, hash };
    let mut with = |what, code, block: Vec<u8>| {
        cases.push(framed(what, code, |frames| {
            frames.insert(1, (CONTENTS, stored(&block)));
        }));
    };
    let forged = Code::ContentHash;
    with("a hash of other bytes", forged, records(&[Record::Data(b"other"), end(5, hash)]));
    with(
        "a hash of the same bytes and one more",
        forged,
        records(&[Record::Data(b"new content!"), end(11, hash)]),
    );
    with("a size one too small", forged, records(&[Record::Data(b"new content"), end(10, hash)]));
    with("a size one too large", forged, records(&[Record::Data(b"new content"), end(12, hash)]));
    with("a size of 16 EiB", forged, records(&[Record::Data(b"new content"), end(u64::MAX, hash)]));
    with("an empty content with another hash", forged, records(&[end(0, hash)]));
    with("the hash of the base's content", forged, {
        records(&[Record::Data(b"evil"), end(4, ContentHash::of(b"127.0.0.1 localhost\n"))])
    });
    with("a forged hash in two records", forged, {
        records(&[Record::Data(b"new "), Record::Data(b"kontent"), end(11, hash)])
    });
    let bad = Code::MalformedPush;
    with("empty data", bad, vec![1, 0, 0, 0, 0]);
    with("data longer than its block", bad, vec![1, 9, 0, 0, 0, b'x']);
    with("data of 4 GiB", bad, vec![1, 255, 255, 255, 255, b'x']);
    with("an end cut short", bad, vec![2, 0, 0]);
    with("an unknown record", bad, vec![9]);
    with("record 0", bad, vec![0]);
    cases.push(framed("a content that never ends", bad, |frames| {
        let last = frames.iter().rposition(|(kind, _)| *kind == CONTENTS).unwrap();
        frames.insert(last + 1, (CONTENTS, stored(&records(&[Record::Data(b"open")]))));
    }));
    cases.push(framed("a content that its push dropped", Code::MissingContent, |frames| {
        let dropped = records(&[Record::Data(b"new content"), Record::Drop]);
        frames.retain(|(kind, _)| *kind != CONTENTS);
        frames.insert(1, (CONTENTS, stored(&dropped)));
    }));
    cases.push(framed("a content that a resume frame forgot", Code::ContentHash, |frames| {
        frames.retain(|(kind, _)| *kind != CONTENTS);
        frames.insert(1, (CONTENTS, stored(&records(&[Record::Data(b"new ")]))));
        frames.insert(2, (RESUME, Vec::new()));
        frames.insert(3, (CONTENTS, stored(&records(&[Record::Data(b"content"), end(11, hash)]))));
    }));
    cases.push(framed("1,001 empty contents", Code::OverBudget, |frames| {
        let empty = end(0, ContentHash::of(b""));
        frames.insert(1, (CONTENTS, zstd(&records(&vec![empty; 1_001]))));
    }));
}

pub(super) fn bombs(cases: &mut Vec<Case>) {
    let bad = Code::MalformedPush;
    let packed = zstd::bulk::compress(&vec![0; 1 << 20], 19).unwrap();
    let bomb = |expanded_bytes| Block { codec: Codec::Zstd, expanded_bytes, packed: &packed }.encode();
    let mut with = |what, code, kind, payload: Vec<u8>| {
        cases.push(framed(what, code, |frames| {
            frames.insert(if kind == ENTRIES { frames.len() } else { 1 }, (kind, payload))
        }));
    };
    with("a block that expands beyond what it says", bad, CONTENTS, bomb(4096));
    with("a block that expands beyond one byte", bad, CONTENTS, bomb(1));
    with("a block that expands to less than it says", bad, CONTENTS, bomb((1 << 20) - 1));
    with("entries that expand beyond what they say", bad, ENTRIES, bomb(10));
    with("a block of no bytes", bad, CONTENTS, bomb(0));
    with("a block above 1 MiB", bad, CONTENTS, bomb((1 << 20) + 1));
    with("a block of 4 GiB", bad, CONTENTS, [&[1u8][..], &u32::MAX.to_le_bytes(), &packed].concat());
    with("an unknown codec", bad, CONTENTS, [&[2u8][..], &9u32.to_le_bytes(), b"123456789"].concat());
    with(
        "a stored block of another length",
        bad,
        CONTENTS,
        [&[0u8][..], &9u32.to_le_bytes(), b"12345678"].concat(),
    );
    with("a block without a codec", bad, CONTENTS, Vec::new());
    let huge = zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap();
    with("64 MiB in a block that says 1 MiB", bad, CONTENTS, {
        Block { codec: Codec::Zstd, expanded_bytes: 1 << 20, packed: &huge }.encode()
    });
    let record = zstd(&records(&[Record::Data(b"x"), Record::Drop]));
    let (codec_and_length, one) = record.split_at(5);
    with("two zstd frames in a block", bad, CONTENTS, [codec_and_length, one, one].concat());
    with("a byte after a zstd frame", bad, CONTENTS, [codec_and_length, one, &[0]].concat());
    with("a frame that zstd skips, first", bad, CONTENTS, {
        [codec_and_length, &[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0], one].concat()
    });
    with("a zstd frame cut short", bad, CONTENTS, record[..record.len() - 1].to_vec());
    with("garbage for zstd", bad, CONTENTS, [codec_and_length, &[0xff; 40]].concat());
}

pub(super) fn budgets(cases: &mut Vec<Case>) {
    cases.push(framed("9 MiB of zeros for a host of 8", Code::OverBudget, |frames| {
        let mut expanded = records(&[Record::Data(&vec![0; (1 << 20) - 5])]);
        expanded.truncate(1 << 20);
        let block = zstd(&expanded);
        for _ in 0..9 {
            frames.insert(1, (CONTENTS, block.clone()));
        }
    }));
    cases.push(framed("200 MiB of zeros in 20 KiB", Code::OverBudget, |frames| {
        let block = zstd(&records(&[Record::Data(&vec![0; (1 << 20) - 5])]));
        for _ in 0..200 {
            frames.insert(1, (CONTENTS, block.clone()));
        }
    }));
    cases.push(framed("200 MiB of dropped zeros", Code::OverBudget, |frames| {
        let block = zstd(&records(&[Record::Data(&vec![0; (1 << 20) - 6]), Record::Drop]));
        for _ in 0..200 {
            frames.insert(1, (CONTENTS, block.clone()));
        }
    }));
    cases.push(framed("200 MiB of changes", Code::OverBudget, |frames| {
        let change = folder_named(b"x");
        let block = zstd(&change.repeat((1 << 20) / change.len()));
        for _ in 0..200 {
            frames.push((ENTRIES, block.clone()));
        }
    }));
    cases.push(parted("a push file above its limit", Code::OverBudget, |push| {
        let mut noise = vec![0u8; 5 << 20];
        let mut seed = 1u32;
        for byte in &mut noise {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (seed >> 24) as u8;
        }
        push.contents.push(noise);
    }));
}
