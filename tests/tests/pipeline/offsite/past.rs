//! Each ice takes the head of its host's log along. Whoever has all of the server, its key too, can write a past anew that looks well there;
//! off-site lies what it does not fit to.

use std::fs;

use pipeline_tests::Outcome;
use pipeline_tests::checker::Moment;
use pipeline_tests::checker::item::hex;
use serde_json::Value;

use super::{BUCKET, HOST, World};
use crate::checks::line_of;
use crate::rig;

const SOUND: i32 = 0;
const UNSIGNED: i32 = 3;
const DAMAGED: i32 = 28;

impl World {
    /// As the newest ice record in the bucket has it.
    fn head_in_ice(&self) -> String {
        let (key, version) =
            self.objects().into_iter().filter(|(key, _)| key.ends_with("/ice.json")).max().unwrap();
        let record: Value =
            serde_json::from_slice(&self.server.data(BUCKET, &key, &version).unwrap()).unwrap();
        record["log_head"].as_str().unwrap().to_owned()
    }

    /// A snapshot and its ice; the head in that, which is the hash of the log's last line.
    fn iced(&self, content: &str) -> (usize, String) {
        self.snapshot(content);
        self.scratch.ice().unwrap().expect_code(&[0]).unwrap();
        let (head, lines) = (self.head_in_ice(), rig::sound(&self.scratch, &self.host, Moment::Quiet).heads);
        assert_eq!(lines.last(), Some(&head));
        (lines.len(), head)
    }

    fn verify_log(&self, head: Option<&str>) -> Outcome {
        let asked = head.map(|head| ["--head", head]);
        let words = [&["verify", "--log", HOST][..], asked.as_ref().map_or(&[], |asked| &asked[..])].concat();
        Outcome::of(&mut self.scratch.snapshotter(&words)).unwrap()
    }

    /// The same events at another time, each line against the one before, and signed with the server's own key.
    fn write_past_anew(&self) {
        let log = self.scratch.history(HOST).join("log");
        let (mut anew, mut previous) = (String::new(), hex(blake3::hash(HOST.as_bytes()).as_bytes()));
        for (number, line) in (1..).zip(fs::read_to_string(&log).unwrap().lines()) {
            let record: Value = serde_json::from_str(line).unwrap();
            let version = record["format"].as_str().unwrap().strip_prefix("firn.log/").unwrap();
            let line = line_of(version, number, &previous, &record["event"].to_string());
            previous = hex(blake3::hash(line.as_bytes()).as_bytes());
            anew += &line;
        }
        fs::write(&log, anew).unwrap();
        assert_eq!(self.verify_log(None).code, DAMAGED, "another key than the server's would be found here");
        fs::remove_file(self.scratch.folder.join("signing/heads").join(format!("{HOST}.asc"))).unwrap();
        assert_eq!(self.verify_log(None).code, UNSIGNED);
        let hold = ["hold", HOST, "--reason", "a line more, and a signature"];
        Outcome::of(&mut self.scratch.snapshotter(&hold)).unwrap().expect_code(&[0]).unwrap();
    }
}

#[test]
fn the_head_in_an_ice_is_a_line_of_its_log_and_of_no_past_written_anew() {
    let _turn = rig::turn();
    let world = World::new(1 << 20, 100_000);
    let heads = [world.iced("one"), world.iced("two")];
    assert_ne!(heads[0], heads[1]);
    for (line, head) in &heads {
        let told = world.verify_log(Some(head));
        assert_eq!(told.code, SOUND, "{}", told.said());
        assert!(told.said().contains(&format!("that is the hash of line {line}\n")), "{}", told.said());
    }
    let invented = hex(blake3::hash(b"log").as_bytes());
    assert_eq!(world.verify_log(Some(&invented)).code, DAMAGED);
    world.write_past_anew();
    rig::sound(&world.scratch, &world.host, Moment::Quiet);
    let told = world.verify_log(None);
    assert_eq!(told.code, SOUND, "control: here nobody finds it: {}", told.said());
    for (_, head) in &heads {
        let told = world.verify_log(Some(head));
        assert_eq!(told.code, DAMAGED, "{}", told.said());
        assert!(told.said().contains(&format!("no line of its log has the hash {head}")), "{}", told.said());
    }
}
