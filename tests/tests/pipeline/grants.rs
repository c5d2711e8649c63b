//! A grant, through a real sshd: the host fetches the one archive with the key that it pushes with, once, until its time is over; nobody else
//! does, and the outbox leads nowhere.

mod changed;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use pipeline_tests::verbs::Hear;
use pipeline_tests::{Host, Options, Outcome, Scratch, settings};

use crate::rig;

const HOST: &str = "web01";
const OTHER: &str = "db1";
const TEXT: &[u8] = b"worker_processes 2;\n";

/// Two hosts, of which the first has pushed, and a server that gives grants.
struct World {
    scratch: Scratch,
    host: Host,
    other: Host,
    prefix: String,
    file: PathBuf,
}

/// Whether sudo's word counts here, by which these tests are two persons; if not, tells that `test` did not run.
fn has_persons_or_skipped(test: &str) -> bool {
    let login = fs::read_to_string("/proc/self/loginuid").unwrap_or_default();
    let is_free = login.trim().parse().is_ok_and(|login: u32| login == u32::MAX) || login.is_empty();
    if !is_free {
        rig::skipped(test, "this login is one person");
    }
    is_free
}

fn world() -> World {
    let mut scratch = rig::scratch(&Options::default());
    let root = scratch.folder.join("hosts/disk/etc");
    let file = root.join("nginx/nginx.conf");
    rig::file(&file, TEXT);
    rig::file(&root.join("secret"), b"not asked for\n");
    rig::file(&root.join("big"), &vec![7; 3 << 20]);
    let host = scratch.add_host(HOST, std::slice::from_ref(&root)).unwrap();
    let other = scratch.add_host(OTHER, std::slice::from_ref(&root)).unwrap();
    let waits = settings::Push { verdict_wait_seconds: 120, ..settings::Push::default() };
    settings::write_push(&scratch, &host, &waits).unwrap();
    let (push, ingest) = scratch.push_and_ingest(&host, Hear::Kept).unwrap();
    ingest.expect("the push was never sealed").expect_code(&[0]).unwrap();
    push.expect_code(&[0]).unwrap();
    let prefix = scratch.names.host_prefix.replace("-h-", "-o-");
    World { scratch, host, other, prefix, file }
}

impl World {
    /// Lets the server give grants; `lines` are more of `[grants]`.
    fn enable(&self, lines: &str) {
        let path = self.scratch.folder.join("etc/server.toml");
        let text = fs::read_to_string(&path).unwrap();
        let text = text.split("\n[grants]").next().unwrap();
        let at = |name: &str| self.scratch.folder.join(name);
        let grants = format!(
            "enabled = true\noutboxes = {:?}\nrecords = {:?}\naccount_prefix = {:?}\n{lines}",
            at("outboxes"),
            at("grants"),
            self.prefix
        );
        fs::write(&path, format!("{text}\n[grants]\n{grants}")).unwrap();
    }

    /// `snapshotter grant`, as root who came by sudo from this account.
    fn grant(&self, user: u32, words: &[&str]) -> Outcome {
        let words = [&["grant"][..], words].concat();
        let mut command = self.scratch.snapshotter_as_admin(&words);
        command.env("SUDO_UID", user.to_string());
        self.scratch.adopted_as(&self.prefix, || Outcome::of(&mut command)).unwrap()
    }

    /// Approves what the record says now.
    fn approve(&self, user: u32) -> Outcome {
        let text = fs::read_to_string(self.scratch.folder.join("grants/web01.json")).unwrap();
        let record: serde_json::Value = serde_json::from_str(&text).unwrap();
        self.grant(user, &["approve", HOST, record["requested"].as_str().unwrap()])
    }

    fn request(&self, path: &Path, hours: &str) -> Outcome {
        let path = path.to_str().unwrap();
        self.grant(5001, &["request", HOST, "latest", path, "--hours", hours, "--reason", "case 4711"])
    }

    fn account(&self) -> String {
        format!("{}{HOST}", self.prefix)
    }

    fn let_in(&mut self) {
        let account = self.account();
        self.scratch.let_in(&[account]).unwrap();
    }

    fn ssh(&self, host: &Host, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        let known = self.scratch.folder.join("known_hosts");
        let line = format!(
            "[127.0.0.1]:{} {}\n",
            self.scratch.sshd.port,
            self.scratch.sshd.host_key.public().unwrap()
        );
        fs::write(&known, line).unwrap();
        command.args(["-F", "none", "-i"]).arg(&host.key.path);
        command.arg("-o").arg(format!("UserKnownHostsFile={}", known.display()));
        for option in ["IdentitiesOnly=yes", "BatchMode=yes", "ConnectTimeout=20"] {
            command.args(["-o", option]);
        }
        command.arg("-o").arg(format!("Port={}", self.scratch.sshd.port)).args(words);
        command.stdin(Stdio::null());
        command
    }

    /// What the host gets, with the code of ssh.
    fn fetch(&self, host: &Host, more: &[&str]) -> (i32, Vec<u8>, String) {
        let target = format!("{}@127.0.0.1", self.account());
        let output = self.ssh(host, "ssh", &[&[target.as_str()][..], more].concat()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap_or(-1), output.stdout, said)
    }

    fn events(&self) -> Vec<serde_json::Value> {
        let log = fs::read_to_string(self.scratch.history(HOST).join("log")).unwrap();
        let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.filter(|line| line["event"]["kind"].as_str().unwrap().starts_with("grant")).collect()
    }

    fn archive(&self) -> PathBuf {
        self.scratch.folder.join("outboxes").join(HOST).join("out/files.tar")
    }
}

#[test]
fn a_host_fetches_what_two_persons_granted_once_and_nothing_else() {
    let test = "a_host_fetches_what_two_persons_granted_once_and_nothing_else";
    if !rig::is_root_or_skipped(test) || !rig::has_or_skipped(test, &["ssh", "sftp", "tar"]) {
        return;
    }
    if !has_persons_or_skipped(test) {
        return;
    }
    let _turn = rig::turn();
    let mut world = world();
    let folder = world.file.parent().unwrap().to_owned();
    // Off by default.
    assert_eq!(world.request(&folder, "1").code, 2);
    world.enable("");
    world.request(&folder, "1").expect_code(&[0]).unwrap();
    // What was not seen is not approved.
    assert_eq!(world.grant(5002, &["approve", HOST, "2026-01-01T00:00:00Z"]).code, 2);
    // One person is not two, and root is nobody.
    for user in [5001, 0] {
        assert_eq!(world.approve(user).code, 2, "{user}");
        assert!(!world.archive().exists());
    }
    world.approve(5002).expect_code(&[0]).unwrap();
    world.let_in();
    assert_eq!(world.events().len(), 1);
    assert_eq!(world.events()[0]["format"], "firn.log/2.0");
    outbox_is_confined(&world);
    audit_names_it(&world);
    others_are_refused(&world);
    fetched_as_it_was(&world);
    // Once is all, also before anybody has tidied up; and then nothing of it is left but the log.
    let (code, bytes, said) = world.fetch(&world.host, &[]);
    assert_eq!((code, bytes.len()), (43, 0), "{said}");
    world.grant(0, &["expire"]).expect_code(&[0]).unwrap();
    assert!(!world.archive().exists());
    assert!(!world.scratch.folder.join("keys").join(world.account()).exists());
    assert_eq!(world.events().last().unwrap()["event"]["how"], "fetched");
    let verify = &["verify", "--log", HOST];
    Outcome::of(&mut world.scratch.snapshotter(verify)).unwrap().expect_code(&[0]).unwrap();
    assert_eq!(world.fetch(&world.host, &[]).0, 255, "and the key is not let in any more");
    Outcome::of(&mut world.scratch.snapshotter(&["verify"])).unwrap().expect_code(&[0]).unwrap();
    // The host pushes with that key as before.
    world.scratch.push(&world.host).unwrap().expect_code(&[0, 18]).unwrap();
}

fn outbox_is_confined(world: &World) {
    // The outbox: an account of its own, which reads its archive and cannot change it, and no history.
    let meta = fs::metadata(world.archive()).unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o7777), (0, 0o640));
    let try_as_it = |words: &[&str]| {
        let mut command = Command::new("setpriv");
        let account = world.account();
        command
            .arg(format!("--reuid={account}"))
            .arg(format!("--regid={account}"))
            .args(["--init-groups", "--"]);
        Outcome::of(command.args(words)).unwrap().code
    };
    let archive = world.archive();
    assert_eq!(try_as_it(&["test", "-r", archive.to_str().unwrap()]), 0, "the control");
    assert_ne!(try_as_it(&["test", "-w", archive.to_str().unwrap()]), 0);
    let history = world.scratch.history("");
    assert_ne!(try_as_it(&["ls", history.to_str().unwrap()]), 0);
    assert_ne!(try_as_it(&["ls", world.scratch.folder.join("grants").to_str().unwrap()]), 0);
}

fn audit_names_it(world: &World) {
    // The audit names it, and nothing is wrong with it.
    let audited = Outcome::of(&mut world.scratch.snapshotter_as_admin(&["audit"])).unwrap();
    let report = audited.report().unwrap();
    let open = report["details"]["open_grants"][0].as_str().unwrap();
    assert!(open.contains("web01") && open.contains("etc/nginx") && open.contains("5002"), "{open}");
    let r4 = &report["details"]["audit"]["findings"][3];
    assert_eq!((r4["requirement"].as_str(), r4["verdict"].as_str()), (Some("R4"), Some("pass")), "{r4}");
}

fn others_are_refused(world: &World) {
    // Another host, other words, other services: refused, and the grant is not used up by it.
    let (code, bytes, said) = world.fetch(&world.other, &[]);
    assert_eq!((code, bytes.len()), (255, 0), "{said}");
    let target = format!("{}@127.0.0.1", world.account());
    let sftp = world.ssh(&world.host, "sftp", &[&target]).output().unwrap();
    assert!(!sftp.status.success());
    let forward = ["-o", "ExitOnForwardFailure=yes", "-N", "-R", "0:127.0.0.1:9", &target];
    assert!(!world.ssh(&world.host, "ssh", &forward).output().unwrap().status.success());
    assert!(world.archive().exists());
}

fn fetched_as_it_was(world: &World) {
    let folder = world.file.parent().unwrap();
    // A command is not asked for anything: the archive is what comes, byte for byte.
    let whole = fs::read(world.archive()).unwrap();
    let (code, bytes, said) = world.fetch(&world.host, &["cat /etc/passwd; id"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(bytes, whole);
    let unpacked = world.scratch.folder.join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    fs::write(unpacked.join("files.tar"), &bytes).unwrap();
    Outcome::of(Command::new("tar").arg("-xpf").arg("files.tar").current_dir(&unpacked))
        .unwrap()
        .expect_code(&[0])
        .unwrap();
    let back = pipeline_tests::stock::below(&unpacked, &world.file);
    assert_eq!(fs::read(&back).unwrap(), TEXT);
    let (then, now) = (fs::metadata(&world.file).unwrap(), fs::metadata(&back).unwrap());
    assert_eq!((then.mtime(), then.mode(), then.uid()), (now.mtime(), now.mode(), now.uid()));
    assert!(!pipeline_tests::stock::below(&unpacked, folder.parent().unwrap()).join("secret").exists());
}

#[test]
fn what_is_over_is_refused_by_sshd_and_by_the_outbox_and_removed() {
    let test = "what_is_over_is_refused_by_sshd_and_by_the_outbox_and_removed";
    if !rig::is_root_or_skipped(test) || !rig::has_or_skipped(test, &["ssh"]) {
        return;
    }
    let _turn = rig::turn();
    let mut world = world();
    world.enable("two_persons = false\narchive_bytes = 1000000\n");
    let file = world.file.clone();
    world.request(&file, "1").expect_code(&[0]).unwrap();
    world.approve(5001).expect_code(&[0]).unwrap();
    world.let_in();
    // The outbox looks at the clock by itself.
    let until = world.archive().with_file_name("until");
    let kept = fs::read(&until).unwrap();
    let past = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() - 1;
    fs::write(&until, format!("{past}\n")).unwrap();
    let (code, bytes, said) = world.fetch(&world.host, &[]);
    assert_eq!((code, bytes.len()), (43, 0), "{said}");
    fs::write(&until, kept).unwrap();
    // And so does sshd: the outbox would still give it.
    let key_file = world.scratch.folder.join("keys").join(world.account());
    let line = fs::read_to_string(&key_file).unwrap();
    let from = line.find("expiry-time=\"").unwrap() + "expiry-time=\"".len();
    let over = format!("{}20200101000000Z{}", &line[..from], &line[from + 15..]);
    fs::write(&key_file, &over).unwrap();
    let (code, _, said) = world.fetch(&world.host, &[]);
    assert_eq!(code, 255, "{said}");
    // The audit sees a key line that is not the grant's.
    let r4 = |world: &World| {
        let audited = Outcome::of(&mut world.scratch.snapshotter_as_admin(&["audit"])).unwrap();
        audited.report().unwrap()["details"]["audit"]["findings"][3]["verdict"].as_str().unwrap().to_owned()
    };
    assert_eq!(r4(&world), "fail");
    fs::write(&key_file, &line).unwrap();
    assert_eq!(r4(&world), "pass");
    let (code, _, said) = world.fetch(&world.host, &[]);
    assert_eq!(code, 0, "the control: {said}");
    fs::remove_file(world.scratch.folder.join("outboxes").join(HOST).join("mark/fetched")).unwrap();
    // Its time passes: the record says so, and the next run removes all of it.
    let record = world.scratch.folder.join("grants/web01.json");
    let text = fs::read_to_string(&record).unwrap();
    let at = text.find("\"until\":\"").unwrap() + "\"until\":\"".len();
    fs::write(&record, format!("{}2020{}", &text[..at], &text[at + 4..])).unwrap();
    world.grant(0, &["expire"]).expect_code(&[0]).unwrap();
    assert_eq!(world.events().last().unwrap()["event"]["how"], "expired");
    assert!(!world.archive().exists() && !key_file.exists() && !record.exists());
    // What no grant explains is found.
    fs::write(&key_file, &line).unwrap();
    assert_eq!(r4(&world), "fail");
    world.grant(0, &["withdraw", HOST]).expect_code(&[0]).unwrap();
    assert_eq!(r4(&world), "pass");
}

#[test]
fn a_grant_that_was_never_whole_is_none_and_one_that_was_killed_is_ended() {
    let test = "a_grant_that_was_never_whole_is_none_and_one_that_was_killed_is_ended";
    if !rig::is_root_or_skipped(test) {
        return;
    }
    let _turn = rig::turn();
    let world = world();
    world.enable("two_persons = false\narchive_bytes = 1000000\n");
    // Too long an archive: nothing is opened.
    world
        .request(&world.file.parent().unwrap().parent().unwrap().join("big"), "1")
        .expect_code(&[0])
        .unwrap();
    assert_eq!(world.approve(5001).code, 2);
    assert!(world.events().is_empty() && !world.archive().exists());
    world.grant(5001, &["withdraw", HOST]).expect_code(&[0]).unwrap();
    // What is not in the snapshot: likewise.
    world.request(Path::new("/no/such/file"), "1").expect_code(&[0]).unwrap();
    assert_eq!(world.approve(5001).code, 43);
    assert!(world.events().is_empty());
    world.grant(5001, &["withdraw", HOST]).expect_code(&[0]).unwrap();
    let file = world.file.clone();
    let key_file = world.scratch.folder.join("keys").join(world.account());
    let record = world.scratch.folder.join("grants/web01.json");
    // A run that was killed between the log and the record: what was never whole is withdrawn.
    world.request(&file, "1").expect_code(&[0]).unwrap();
    let asked = fs::read(&record).unwrap();
    world.approve(5001).expect_code(&[0]).unwrap();
    fs::write(&record, asked).unwrap();
    world.grant(0, &["expire"]).expect_code(&[0]).unwrap();
    assert_eq!(world.events().last().unwrap()["event"]["how"], "withdrawn");
    assert!(!world.archive().exists() && !key_file.exists() && !record.exists());
    // Killed after the log was told of the end: the rest is removed, and the log is not told again.
    world.request(&file, "1").expect_code(&[0]).unwrap();
    world.approve(5001).expect_code(&[0]).unwrap();
    let opened = fs::read(&record).unwrap();
    world.grant(5001, &["withdraw", HOST]).expect_code(&[0]).unwrap();
    let told = world.events().len();
    fs::write(&record, opened).unwrap();
    world.grant(0, &["expire"]).expect_code(&[0]).unwrap();
    assert_eq!(world.events().len(), told);
    assert!(!record.exists());
    what_is_left_of_it_goes(&world);
    it_ends_with_its_host(&world);
}

fn what_is_left_of_it_goes(world: &World) {
    let file = world.file.clone();
    let key_file = world.scratch.folder.join("keys").join(world.account());
    let record = world.scratch.folder.join("grants/web01.json");
    // A killed approval has left half an archive, and nobody remembers the request: both go.
    world.request(&file, "1").expect_code(&[0]).unwrap();
    let half = world.archive().with_file_name(".unfinished-1-1");
    fs::write(&half, "half").unwrap();
    let text = fs::read_to_string(&record).unwrap();
    let at = text.find("\"requested\":\"").unwrap() + "\"requested\":\"".len();
    fs::write(&record, format!("{}2020{}", &text[..at], &text[at + 4..])).unwrap();
    world.grant(0, &["expire"]).expect_code(&[0]).unwrap();
    assert!(!half.exists() && !record.exists());
    // A record that nobody can read lets nobody in.
    world.request(&file, "1").expect_code(&[0]).unwrap();
    world.approve(5001).expect_code(&[0]).unwrap();
    fs::write(&record, "{}").unwrap();
    assert_ne!(world.grant(0, &["expire"]).code, 0);
    assert!(!world.archive().exists() && !key_file.exists());
    world.grant(0, &["withdraw", HOST]).expect_code(&[0]).unwrap();
    // What is over goes also where the history is not there, and is told when it is.
    world.request(&file, "1").expect_code(&[0]).unwrap();
    world.approve(5001).expect_code(&[0]).unwrap();
    fs::write(world.scratch.folder.join("outboxes/web01/mark/fetched"), "").unwrap();
    let (history, away) = (world.scratch.history(HOST), world.scratch.folder.join("away"));
    fs::rename(&history, &away).unwrap();
    assert_ne!(world.grant(0, &["expire"]).code, 0);
    assert!(!world.archive().exists() && !key_file.exists() && record.exists());
    fs::rename(&away, &history).unwrap();
    world.grant(0, &["expire"]).expect_code(&[0]).unwrap();
    assert_eq!(world.events().last().unwrap()["event"]["how"], "fetched");
}

/// Whoever retires a host ends its grant.
fn it_ends_with_its_host(world: &World) {
    let key_file = world.scratch.folder.join("keys").join(world.account());
    let record = world.scratch.folder.join("grants/web01.json");
    let file = world.file.clone();
    world.request(&file, "1").expect_code(&[0]).unwrap();
    world.approve(5001).expect_code(&[0]).unwrap();
    let mut retire = world.scratch.snapshotter_as_admin(&["host", "retire", HOST]);
    Outcome::of(&mut retire).unwrap().expect_code(&[0]).unwrap();
    assert_eq!(world.events().last().unwrap()["event"]["how"], "withdrawn");
    assert!(!world.archive().exists() && !key_file.exists() && !record.exists());
}
