//! A search over many snapshots: what it takes of memory, and in the long form (`FIRN_LONG`) of time.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Instant;

use chrono::{DateTime, Utc};
use formats::entry::{Attribute, Body, Entry, Kind, Meta, Mtime, Node, Tag};
use formats::records::log::{Event, Ingest};
use formats::{ContentHash, HostId, InstallationId, ManifestWriter, PushId, RelPath};
use history::{History, LogAppender, SnapshotName, Squeezer};

use crate::world::{PROGRAM, World, give_away};

/// Above what the buffers take, and below all that is found.
const MEMORY_KIB: u32 = 160_000;
const FILES_A_FOLDER: usize = 500;

fn entry(path: &str, kind: Kind, seconds: i64) -> Entry {
    let name = |tag| Attribute { tag, name: Vec::new(), value: b"www-data".to_vec() };
    let attributes = vec![name(Tag::OwnerName), name(Tag::GroupName)];
    let mtime = Mtime { seconds, nanos: 5 };
    let meta = Meta { mode: 0o644, owner: 33, group: 33, mtime, links: 1, attributes };
    Entry { path: RelPath::new(path.as_bytes()).unwrap(), body: Body::Node(Node { meta, kind }) }
}

fn entries(files: usize) -> Vec<Entry> {
    let mut entries = vec![entry("srv", Kind::Folder, 1), entry("srv/www", Kind::Folder, 1)];
    for folder in 0..files.div_ceil(FILES_A_FOLDER) {
        let folder = format!("srv/www/site-{folder:05}");
        entries.push(entry(&folder, Kind::Folder, 1));
        for file in 0..FILES_A_FOLDER {
            let path = format!("{folder}/image-{file:05}.jpeg");
            let content = ContentHash::of(path.as_bytes());
            entries.push(entry(&path, Kind::File { size: 40_000, content }, 1_700_000_000));
        }
    }
    entries
}

/// Manifests and a log, and no trees. In each snapshot a hundredth of the files is newer. Returns the length of all manifests.
fn history(world: &World, snapshots: u64, files: usize) -> u64 {
    let folder = world.path("history/web01/manifests");
    fs::create_dir_all(&folder).unwrap();
    let host = History::open(&world.path("history")).unwrap().host(&HostId::parse("web01").unwrap()).unwrap();
    let alone = host.write_lock().unwrap().unwrap();
    let mut log = LogAppender::open(&host, &alone).unwrap();
    let mut entries = entries(files);
    let mut bytes = 0;
    for sequence in 1..=snapshots {
        for entry in entries.iter_mut().skip(sequence as usize % 100).step_by(100) {
            let Body::Node(node) = &mut entry.body else { unreachable!() };
            node.meta.mtime.seconds += 1;
        }
        let now: DateTime<Utc> =
            DateTime::from_timestamp(1_767_322_930 + sequence as i64 * 3_600, 0).unwrap();
        let name = SnapshotName::new(now, sequence).unwrap();
        let path = folder.join(format!("{name}.manifest"));
        let squeezer = Squeezer::new(File::create(&path).unwrap()).unwrap();
        let mut writer = ManifestWriter::new(squeezer).unwrap();
        entries.iter().for_each(|entry| writer.push(entry).unwrap());
        let (sum, _) = writer.finish().unwrap();
        let file = File::open(&path).unwrap();
        file.sync_all().unwrap();
        bytes += file.metadata().unwrap().len();
        // Out of the page cache: what is measured is a cold search.
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        let mut push = [0; 16];
        push[..8].copy_from_slice(&sequence.to_le_bytes());
        log.append(
            Event::Ingest(Ingest {
                sequence,
                name: name.to_string(),
                root: sum.root,
                entries: sum.entries,
                left_out: 0,
                base: None,
                push: PushId::from_bytes(push),
                installation: InstallationId::from_bytes([1; 16]),
                counter: sequence,
                started: 5,
                zone: "UTC".to_owned(),
                new_bytes: 1,
                changes: 1,
                long_entry_bytes: 0,
                emergency: false,
                imported: false,
                measured: None,
            }),
            now,
        )
        .unwrap();
    }
    for name in ["", "/log", "/.lock"] {
        let path = world.path(&format!("history/web01{name}"));
        give_away(&path);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    bytes
}

#[test]
fn a_search_takes_memory_for_what_it_reads_ahead_and_not_for_what_it_finds() {
    let world = World::new();
    history(&world, 40, 10_000);
    let limited = format!("ulimit -d {MEMORY_KIB} && exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &limited, PROGRAM, "--config"]).arg(&world.config).args(["--json", "find", "/**"]);
    let output = command.current_dir("/").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let report: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(report["counts"]["found"], 2 + 10_000 / 500 * 501);
    assert_eq!(report["details"]["found"].as_array().unwrap().len(), 1_000);
}

/// 200 snapshots of 100,000 files.
#[test]
fn a_path_in_many_snapshots_is_found_in_the_time_that_reading_them_takes() {
    let test = "a_path_in_many_snapshots_is_found_in_the_time_that_reading_them_takes";
    if std::env::var_os("FIRN_LONG").is_none() {
        return println!("SKIPPED: {test}: needs FIRN_LONG, and 3 GB of disk");
    }
    let world = World::new();
    let bytes = history(&world, 200, 100_000);
    let find = || {
        let began = Instant::now();
        let ended = world.run(&["--json", "find", "/srv/www/site-00007/image-00042.jpeg"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_eq!(ended.report()["counts"]["found"], 1);
        began.elapsed().as_secs_f64()
    };
    let cold = find();
    let warm = (0..5).map(|_| find()).fold(f64::MAX, f64::min);
    println!("find in {bytes} bytes of manifests: {cold:.2} s cold, {warm:.2} s warm");
}
