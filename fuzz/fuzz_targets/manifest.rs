#![no_main]
//! Manifests: whatever is read whole, written again, is the same file; and its difference to nothing applies to itself.
use formats::change::{apply, diff};
use formats::glance::Glance;
use formats::pages::Pages;
use formats::{Entry, ManifestReader, ManifestWriter};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = Entry::decode(data);
    // The root hash makes a random manifest unreadable; build one from the entries that decode, to reach the rules between entries.
    let mut entries = Vec::new();
    let mut rest = data;
    while let Some((length, tail)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_le_bytes(*length)).min(tail.len());
        let (bytes, tail) = tail.split_at(length);
        if let Ok(entry) = Entry::decode(bytes) {
            let mut again = Vec::new();
            entry.encode(&mut again).expect("a read entry can be written");
            assert_eq!(again, bytes);
            entries.push(entry);
        }
        rest = tail;
    }
    let mut writer = ManifestWriter::new(Vec::new()).expect("memory");
    let mut kept = Vec::new();
    for entry in entries {
        if writer.push(&entry).is_err() {
            return;
        }
        kept.push(entry);
    }
    let (summary, bytes) = writer.finish().expect("memory");
    let mut reader = ManifestReader::new(bytes.as_slice()).expect("just written");
    let read: Vec<Entry> = reader.by_ref().collect::<Result<_, _>>().expect("just written");
    assert_eq!(read, kept);
    assert_eq!(reader.summary(), Some(summary));
    let mut glance = Glance::new(bytes.as_slice(), 64).expect("just written");
    let mut wanted = |path: &[u8]| path.len() % 2 == 0;
    let mut seen = Vec::new();
    while let Some(entry) = glance.next(&mut wanted).expect("just written") {
        seen.push(entry);
    }
    assert!(seen.iter().eq(kept.iter().filter(|entry| entry.path.as_bytes().len() % 2 == 0)));
    let mut turned = Vec::new();
    let mut pages = Pages::default();
    pages.take(&bytes, &mut wanted, &mut |entry| turned.push(entry)).expect("just written");
    pages.finish().expect("just written");
    assert_eq!(turned, seen);
    let mut pages = Pages::default();
    for page in data.chunks(data.len() / 2 + 1) {
        if pages.take(page, &mut |_| true, &mut |_| {}).is_err() {
            break;
        }
    }
    if let Ok(mut glance) = Glance::new(data, 64) {
        while let Ok(Some(_)) = glance.next(&mut |_| true) {}
    }
    let ok = |entries: &[Entry]| entries.to_vec().into_iter().map(Ok::<_, ()>);
    let half = &kept[..kept.len() / 2];
    let changes: Vec<_> = diff(ok(half), ok(&kept)).collect();
    let steps = apply(ok(half), changes.into_iter()).map(|step| step.expect("made by diff"));
    let result: Vec<Entry> = steps.filter_map(|applied| applied.entry().cloned()).collect();
    assert_eq!(result, kept);
    if let Ok(reader) = ManifestReader::new(data) {
        for entry in reader {
            if entry.is_err() {
                break;
            }
        }
    }
});
