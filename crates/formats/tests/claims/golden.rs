//! The bytes of each version, kept as files. A released one is never edited; a file that no test names fails the build.
//! Before the first release: `FIRN_WRITE_GOLDEN=1 cargo test -p formats golden`.

mod logs;

use std::collections::BTreeSet;
use std::path::PathBuf;

use formats::frame;
use formats::holdings::Head;
use formats::push::{self, Block, Codec, FrameKind, Seal, Tally};
use formats::records::audit::Half;
use formats::records::drill::DrillResult;
use formats::records::ice::IceRecord;
use formats::records::ledger::LedgerLine;
use formats::records::plan::PrunePlan;
use formats::records::{Record, RecordError};
use formats::session::{ClientMessage, ServerMessage};
use formats::version::VersionError;
use formats::{Change, ContentHash, Root, Version};

use logs::{
    granted_log, healing_log, imported_log, later_log, log, newest_log, redacted_log, restored_log,
    second_log, tripwire_log, unchanged_log,
};

use crate::manifests::written;
use crate::records;
use crate::samples::*;
use crate::sessions::{
    client_messages, header, later_client_messages, later_server_messages, newest_client_messages,
    newest_server_messages, published, published_with_admission, server_messages,
};

fn push_file(version: Version) -> Vec<u8> {
    let mut file = formats::push::head_of(version);
    let mut tally = Tally::of_version(version);
    let mut add = |kind: FrameKind, payload: &[u8], tally: &mut Tally| {
        let mut bytes = Vec::new();
        frame::encode(kind.code(), payload, &mut bytes).unwrap();
        tally.take(&frame::decode(&bytes).unwrap().unwrap()).unwrap();
        file.extend_from_slice(&bytes);
    };
    add(FrameKind::Header, &header().encode().unwrap(), &mut tally);
    let mut records = Vec::new();
    push::Record::Data(b"half of it").encode(&mut records);
    let block = Block { codec: Codec::Stored, expanded_bytes: records.len(), packed: &records };
    add(FrameKind::Contents, &block.encode(), &mut tally);
    add(FrameKind::Resume, b"", &mut tally);
    let mut records = Vec::new();
    push::Record::Data(b"dropped").encode(&mut records);
    push::Record::Drop.encode(&mut records);
    push::Record::Data(b"whole").encode(&mut records);
    push::Record::End { size: 5, hash: ContentHash::of(b"whole") }.encode(&mut records);
    if version == push::VERSION {
        push::Record::From(path("var/log/old")).encode(&mut records);
        push::Record::Copy { offset: 65_536, length: 131_072 }.encode(&mut records);
        push::Record::Data(b"end").encode(&mut records);
        push::Record::End { size: 131_075, hash: ContentHash::of(b"what that comes to") }
            .encode(&mut records);
    }
    let block = Block { codec: Codec::Stored, expanded_bytes: records.len(), packed: &records };
    add(FrameKind::Contents, &block.encode(), &mut tally);
    let mut changes = Vec::new();
    Change::Put(file_entry()).encode(&mut changes).unwrap();
    Change::Remove(path("gone")).encode(&mut changes).unwrap();
    let block = Block { codec: Codec::Stored, expanded_bytes: changes.len(), packed: &changes };
    add(FrameKind::Entries, &block.encode(), &mut tally);
    let (summary, _) = written(&[file_entry()]);
    let seal = Seal {
        frames: tally.frames(),
        hash: tally.hash(),
        root: summary.root,
        entries: summary.entries,
        left_out: 2,
    };
    add(FrameKind::Seal, &seal.encode(), &mut tally);
    file
}

fn file_entry() -> formats::Entry {
    file("file", b"whole")
}

fn line<R: Record + PartialEq + std::fmt::Debug>(record: &R) -> Vec<u8> {
    let bytes = record.to_line().unwrap();
    assert_eq!(R::from_line(&bytes).unwrap(), *record);
    bytes
}

fn messages(server: Vec<ServerMessage>, client: Vec<ClientMessage>) -> Vec<u8> {
    let mut bytes = Vec::new();
    server.iter().for_each(|message| message.encode(&mut bytes).unwrap());
    client.iter().for_each(|message| message.encode(&mut bytes).unwrap());
    bytes
}

fn holdings() -> Vec<u8> {
    let mut contents: Vec<_> = (0..5u8).map(|n| ContentHash::of(&[n])).collect();
    contents.sort_unstable();
    let head = Head { root: Root::from_bytes([9; 32]), count: 5 };
    let mut bytes = head.encode();
    contents.iter().for_each(|content| bytes.extend_from_slice(content.as_bytes()));
    bytes.extend_from_slice(head.root.as_bytes());
    assert_eq!(Some(bytes.len() as u64), head.file_bytes());
    bytes
}

/// Compares the files of one folder with what this program writes, and has no others there but `read`.
fn compare(version: &str, golden: &[(&str, Vec<u8>)], read: &[&str]) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(version);
    for (name, bytes) in golden {
        let file = folder.join(name);
        if std::env::var_os("FIRN_WRITE_GOLDEN").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&file, bytes).unwrap();
        }
        assert_eq!(std::fs::read(&file).unwrap(), *bytes, "{name}");
    }
    let present: BTreeSet<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let named = golden.iter().map(|(name, _)| *name).chain(read.iter().copied());
    assert_eq!(present, named.map(str::to_owned).collect());
}

#[test]
fn the_golden_files_are_what_this_program_writes() {
    let first: Vec<(&str, Vec<u8>)> = vec![
        ("push-file", push_file(Version::ONE)),
        ("published-state", published().encode().unwrap()),
        ("session", messages(server_messages(), client_messages())),
        ("session-1.1", messages(later_server_messages(), later_client_messages())),
        ("session-1.2", messages(newest_server_messages(), newest_client_messages())),
        ("holdings", holdings()),
        ("log", log()),
        ("log-1.1", later_log()),
        ("log-1.2", newest_log()),
        ("log-1.3", imported_log()),
        ("log-head.json", line(&records::log_head())),
        ("grant.json", line(&records::grant())),
        ("lock.json", line(&records::lock())),
        ("drill-proved.json", line(&records::drill(DrillResult::Proved))),
        ("drill-failed.json", line(&records::drill(DrillResult::Failed))),
        ("standing.json", line(&records::standing())),
        ("audit-server.json", line(&records::audit(Half::Server))),
        ("audit-host.json", line(&records::audit(Half::Host))),
        ("redaction.json", line(&records::redaction_record())),
    ];
    let second = vec![
        ("everything.manifest", written(&everything()).1),
        ("empty.manifest", written(&[]).1),
        ("ice.json", line(&records::ice())),
        ("ice-redacted.json", line(&records::ice_redacted())),
        ("ledger", line(&records::ledger())),
        ("push-file", push_file(push::VERSION)),
        ("log", second_log()),
        ("log-tripwires", tripwire_log()),
        ("log-rot", healing_log()),
        ("log-restores", restored_log()),
        ("log-grants", granted_log()),
        ("log-redactions", redacted_log()),
        ("log-unchanged", unchanged_log()),
        ("prune-plan.json", line(&records::plan())),
        ("published-state", published_with_admission().encode().unwrap()),
    ];
    compare(
        "v1",
        &first,
        &[
            "everything.manifest",
            "empty.manifest",
            "everything.squeezed-manifest",
            "ice.json",
            "ledger",
            "prune-plan.json",
        ],
    );
    compare("v2", &second, &[]);
}

#[test]
fn a_plan_of_version_1_is_read_as_what_it_was() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1/prune-plan.json");
    let plan = PrunePlan::from_line(&std::fs::read(file).unwrap()).unwrap();
    assert_ne!(plan.format, PrunePlan::format(), "it was not signed, and a reader can tell");
    assert_eq!(PrunePlan { format: PrunePlan::format(), ..plan }, records::plan());
}

#[test]
fn manifests_of_version_1_are_read_with_the_root_they_had() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1");
    for (name, entries) in
        [("everything.manifest", everything_of_version_1()), ("empty.manifest", Vec::new())]
    {
        let file = std::fs::read(folder.join(name)).unwrap();
        let mut reader = formats::ManifestReader::new(file.as_slice()).unwrap();
        assert_eq!(reader.version(), formats::Version::ONE);
        assert_eq!(reader.by_ref().collect::<Result<Vec<_>, _>>().unwrap(), entries);
        // The same entries have the same root, whatever the version of the file.
        assert_eq!(reader.summary().unwrap(), written(&entries).0);
    }
}

#[test]
fn an_ice_record_and_a_ledger_of_version_1_are_refused_as_too_old() {
    let old = |name: &str| {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1");
        std::fs::read(folder.join(name)).unwrap()
    };
    let refused = |error: RecordError| matches!(error, RecordError::Version(VersionError::TooOld { .. }));
    assert!(refused(IceRecord::from_line(&old("ice.json")).unwrap_err()));
    assert!(refused(LedgerLine::from_line(&old("ledger")).unwrap_err()));
}

#[test]
fn a_root_does_not_depend_on_anything_but_the_entries() {
    // Independent of the writer: the sum of docs/formats/manifest.md, done by hand.
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"firn manifest root 1\n");
    for entry in everything() {
        let mut bytes = Vec::new();
        entry.encode(&mut bytes).unwrap();
        hasher.update(&(bytes.len() as u32).to_le_bytes());
        hasher.update(&bytes);
    }
    assert_eq!(written(&everything()).0.root.as_bytes(), hasher.finalize().as_bytes());
}
