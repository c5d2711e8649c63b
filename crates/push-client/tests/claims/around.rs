//! Commands before and after a push, and the process that runs them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::commands::{text, written};
use crate::host::{Host, root};

/// A host whose `/` is the machine's, with commands, that pushes into a file.
pub(crate) struct Around {
    pub(crate) host: Host,
    pub(crate) folder: tempfile::TempDir,
}

impl Around {
    pub(crate) fn new() -> Self {
        let host = Host::new();
        host.write("file", b"content");
        Self { host, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a command has written there.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap_or_default()
    }

    pub(crate) fn settings(&self, commands: &str) -> String {
        let settings = self.host.settings().replace("\"/data\"", &format!("{:?}", self.host.path("")));
        let path = written(self.host.top().parent().unwrap(), &format!("{settings}{commands}"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// For a runner that is another account's.
    pub(crate) fn is_for_everyone_to_read(&self, settings: &Path) {
        let folder = settings.parent().unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).unwrap();
        fs::set_permissions(settings, fs::Permissions::from_mode(0o644)).unwrap();
    }

    pub(crate) fn start(&self, commands: &str) -> Child {
        let settings = self.settings(commands);
        Command::new(env!("CARGO_BIN_EXE_push-client"))
            .args(["run", "-v", "--config", &settings, "--to-file"])
            .arg(self.at("push"))
            .env("SECRET", "not for commands")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    pub(crate) fn run(&self, commands: &str) -> Output {
        self.start(commands).wait_with_output().unwrap()
    }

    /// Waits until a command has written there.
    pub(crate) fn wait_for(&self, name: &str) {
        let until = Instant::now() + Duration::from_secs(20);
        while !self.at(name).exists() {
            assert!(Instant::now() < until, "{name} is not there");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// `[[kind]]` with a line for a shell, in which `@` stands for the folder.
    pub(crate) fn shell(&self, kind: &str, line: &str) -> String {
        let line = line.replace('@', self.folder.path().to_str().unwrap());
        format!("[[{kind}]]\ncommand = [\"/bin/sh\", \"-c\", {line:?}]\n")
    }
}

pub(crate) fn signal(pid: u32, signal: &str) {
    let done = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).status().unwrap();
    assert!(done.success());
}

fn is_alive(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

/// What was just ended may take a moment.
pub(crate) fn assert_gone(pid: &str) {
    let until = Instant::now() + Duration::from_secs(10);
    while is_alive(pid) {
        assert!(Instant::now() < until, "process {pid} lives");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn commands_run_in_their_order_around_a_push() {
    let around = Around::new();
    let commands = [
        around.shell("before", "test ! -e @/push && echo one >> @/log"),
        around.shell("before", "echo two >> @/log"),
        around.shell("after", "test -e @/push && echo three $FIRN_HOST $FIRN_EXIT >> @/log"),
        around.shell("after", "echo four >> @/log"),
    ];
    let done = around.run(&commands.concat());
    assert_eq!(done.status.code(), Some(18), "{}", text(&done.stderr));
    assert_eq!(around.read("log"), "one\ntwo\nthree web01 18\nfour\n");
}

#[test]
fn commands_see_a_fixed_environment_and_three_descriptors() {
    let around = Around::new();
    let done = around.run(
        "[[before]]\ncommand = [\"env\"]\n[[before]]\ncommand = [\"ls\", \"-l\", \"/proc/self/fd\"]\n\
         [[before]]\ncommand = [\"/bin/sh\", \"-c\", \"read line; echo $? in $PWD; printf 'a\\\\033[31mb\\\\n' >&2\"]\n\
         timeout_seconds = 20\n[[before]]\ncommand = [\"/bin/sh\", \"-c\", \"umask\"]\n[[after]]\ncommand = [\"env\"]\n",
    );
    assert_eq!(done.status.code(), Some(18), "{}", text(&done.stderr));
    let words = text(&done.stderr);
    let said = |whose: &str| {
        let mut lines: Vec<_> = words.lines().filter_map(|line| line.strip_prefix(whose)).collect();
        lines.sort_unstable();
        lines
    };
    let names =
        |lines: &[&str]| lines.iter().map(|l| l.split('=').next().unwrap().to_owned()).collect::<Vec<_>>();
    let before = said("before 1 (env): ");
    assert_eq!(names(&before), ["FIRN_HOST", "HOME", "LANG", "LOGNAME", "PATH", "USER"], "{words}");
    assert!(before.contains(&"FIRN_HOST=web01") && before.contains(&"LANG=C.UTF-8"));
    assert_eq!(
        names(&said("after 1 (env): ")),
        ["FIRN_EXIT", "FIRN_HOST", "HOME", "LANG", "LOGNAME", "PATH", "USER"]
    );
    // The fourth is that of the listing itself.
    let open: Vec<_> = said("before 2 (ls): ").into_iter().filter(|line| line.contains("->")).collect();
    assert_eq!(open.len(), 4, "{open:?}");
    assert!(open.iter().any(|line| line.ends_with("0 -> /dev/null")), "{open:?}");
    assert_eq!(open.iter().filter(|line| line.contains("-> pipe:")).count(), 2, "{open:?}");
    assert_eq!(said("before 3 (/bin/sh): ").len(), 2);
    assert_eq!(said("before 4 (/bin/sh): "), ["0077"]);
    assert!(words.contains("1 in /\n") && !words.contains('\x1b'), "{words}");
}

#[test]
fn a_failing_command_before_ends_the_push_and_what_comes_after_is_run() {
    let around = Around::new();
    let commands = [
        around.shell("before", "exit 5"),
        around.shell("before", "echo never > @/never"),
        around.shell("after", "echo $FIRN_EXIT > @/after"),
    ];
    let done = around.run(&commands.concat());
    assert_eq!(done.status.code(), Some(7), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("before 1 (/bin/sh) ended with status 5"), "{}", text(&done.stderr));
    assert_eq!((around.at("push").exists(), around.at("never").exists()), (false, false));
    assert_eq!(around.read("after"), "7\n");
    let done = around.run("[[before]]\ncommand = [\"/no/such/program\"]\n");
    assert_eq!(done.status.code(), Some(7), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("could not be started"), "{}", text(&done.stderr));
}

#[test]
fn a_late_command_is_ended_with_all_that_it_has_started() {
    let around = Around::new();
    let late =
        around.shell("before", "sleep 600 & echo $! > @/child; echo $$ > @/leader; trap '' TERM; sleep 600");
    let begun = Instant::now();
    let done = around.run(&format!("{late}timeout_seconds = 1\n"));
    assert_eq!(done.status.code(), Some(7), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("took longer than its timeout_seconds"), "{}", text(&done.stderr));
    // A second to its end, and five until it is made to end.
    assert!((5..30).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    for name in ["child", "leader"] {
        assert_gone(&around.read(name));
    }
}

#[test]
fn commands_have_no_terminal_of_ours() {
    let around = Around::new();
    // Fields 5 to 7 of the runner's line: group, session, terminal.
    let line = "cut -d' ' -f5-7 /proc/$PPID/stat > @/group; echo $PPID > @/runner";
    let done = around.run(&around.shell("before", line));
    assert_eq!(done.status.code(), Some(18), "{}", text(&done.stderr));
    let runner = around.read("runner");
    assert_eq!(around.read("group"), format!("{0} {0} 0\n", runner.trim()));
}

#[test]
fn a_command_after_that_fails_is_told_and_does_not_hide_how_the_push_ended() {
    let around = Around::new();
    let commands = [around.shell("after", "exit 9"), around.shell("after", "echo ran > @/second")];
    let done = around.run(&commands.concat());
    assert_eq!(done.status.code(), Some(18), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("after 1 (/bin/sh) ended with status 9"), "{}", text(&done.stderr));
    assert_eq!(around.read("second"), "ran\n");
}

#[test]
fn a_push_that_is_told_to_end_undoes_what_came_before() {
    let around = Around::new();
    let commands = [
        around.shell("before", "echo $$ > @/before; exec sleep 600") + "timeout_seconds = 60\n",
        around.shell("after", "echo $FIRN_EXIT > @/after"),
    ];
    let child = around.start(&commands.concat());
    around.wait_for("before");
    let begun = Instant::now();
    signal(child.id(), "TERM");
    let done = child.wait_with_output().unwrap();
    // What comes after does not begin while a service manager may still signal all that it finds.
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(40), "{took:?}");
    // By the signal, as whoever sent it expects.
    assert_eq!(
        (done.status.code(), around.read("after").as_str()),
        (None, "143\n"),
        "{}",
        text(&done.stderr)
    );
    assert_gone(&around.read("before"));
    assert!(!around.at("push").exists());
}

#[test]
fn of_a_push_that_was_killed_what_came_before_is_undone_all_the_same() {
    let around = Around::new();
    let commands = [
        around.shell("before", "echo $$ > @/before; exec sleep 600") + "timeout_seconds = 20\n",
        around.shell("after", "touch @/begun; while test ! -e @/go; do sleep 0.05; done")
            + "timeout_seconds = 40\n",
        around.shell("after", "echo \"exit $FIRN_EXIT\" > @/after.new; mv @/after.new @/after"),
    ];
    let mut child = around.start(&commands.concat());
    around.wait_for("before");
    let killed = Instant::now();
    signal(child.id(), "KILL");
    child.wait().unwrap();
    around.wait_for("begun");
    // A service manager that finds its main process dead tells the others to end.
    assert!(killed.elapsed() >= Duration::from_secs(2), "{:?}", killed.elapsed());
    // Until all is undone no other push begins.
    let done = around.run(&commands.concat());
    assert_eq!(done.status.code(), Some(10), "{}", text(&done.stderr));
    fs::write(around.at("go"), "").unwrap();
    around.wait_for("after");
    assert_eq!(around.read("after"), "exit \n");
    assert_gone(&around.read("before"));
}

#[test]
fn settings_that_others_can_change_run_no_commands() {
    let around = Around::new();
    let settings = around.settings(&around.shell("before", "echo ran > @/ran"));
    for mode in [0o620, 0o660] {
        fs::set_permissions(&settings, fs::Permissions::from_mode(mode)).unwrap();
        let done = crate::commands::run(&["run", "--config", &settings]);
        assert_eq!(done.status.code(), Some(2), "{}", text(&done.stderr));
        assert!(text(&done.stderr).contains("nobody else can change"), "{}", text(&done.stderr));
    }
    assert!(!around.at("ran").exists());
    // Who can rename in a folder above can change them, too.
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o600)).unwrap();
    let folder = Path::new(&settings).parent().unwrap();
    for (mode, is_refused) in [(0o770, true), (0o707, true), (0o1777, false), (0o700, false)] {
        fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
        let done = crate::commands::run(&["run", "--config", &settings]);
        let words = text(&done.stderr);
        assert_eq!(words.contains("nobody else can change"), is_refused, "{mode:o}: {words}");
        assert_eq!(fs::remove_file(around.at("ran")).is_err(), is_refused, "{mode:o}: {words}");
    }
}

#[test]
fn a_descriptor_that_was_left_open_is_not_for_commands() {
    let around = Around::new();
    // Nor are those that the runner has for its dumps.
    let listing = "[[before]]\ncommand = [\"ls\", \"/proc/self/fd\"]\n";
    let dump = format!("{}path = \"/d/1\"\n", around.shell("dump", "echo out"));
    let settings = around.settings(&format!("{listing}{dump}"));
    let (program, push) = (env!("CARGO_BIN_EXE_push-client"), around.at("push"));
    let line = format!("exec {program} run --config {settings} --to-file {push:?} 9</etc/hostname");
    let done = Command::new("/bin/sh").args(["-c", &line]).output().unwrap();
    assert_eq!(done.status.code(), Some(18), "{}", text(&done.stderr));
    let words = text(&done.stderr);
    let open: Vec<_> = words.lines().filter_map(|line| line.strip_prefix("before 1 (ls): ")).collect();
    assert_eq!(open, ["0", "1", "2", "3"]);
}

#[test]
fn a_command_runs_as_the_account_that_is_named() {
    if !root() {
        println!("SKIPPED: a_command_runs_as_the_account_that_is_named: only root becomes others");
        return;
    }
    let around = Around::new();
    let line = "[[before]]\ncommand = [\"id\"]\nuser = \"nobody\"\n[[before]]\ncommand = [\"grep\", \"Cap\", \"/proc/self/status\"]\nuser = \"nobody\"\n";
    let done = around.run(line);
    assert_eq!(done.status.code(), Some(18), "{}", text(&done.stderr));
    let words = text(&done.stderr);
    assert!(
        words.contains("before 1 (id): uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup)\n"),
        "{words}"
    );
    assert!(words.contains("CapEff:\\x090000000000000000\n"), "{words}");
    let done = around.run("[[before]]\ncommand = [\"id\"]\nuser = \"nobody-of-this-name\"\n");
    assert_eq!(done.status.code(), Some(7), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("there is no account"), "{}", text(&done.stderr));
}

#[test]
fn check_and_dry_run_name_commands_and_run_none() {
    let around = Around::new();
    let commands = [around.shell("before", "echo ran > @/ran"), around.shell("after", "echo ran > @/ran")];
    let settings = around.settings(&commands.concat());
    let done = crate::commands::run(&["run", "--dry-run", "--config", &settings]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let words = text(&done.stdout);
    assert!(
        words.contains("would run before 1: /bin/sh -c echo ran") && words.contains("would run after 1: "),
        "{words}"
    );
    let done = crate::commands::run(&["check", "--config", &settings]);
    assert!(
        text(&done.stdout).contains("commands    good: 1 before, 0 dumps, 1 after"),
        "{}",
        text(&done.stdout)
    );
    for (words, why) in [
        ("command = [\"no-such-program\"]\n", "cannot be run: there is no such program in /usr/local/sbin:"),
        ("command = [\"/no/such/program\"]\n", "cannot be run: there is no such program\n"),
        ("command = [\"true\"]\nuser = \"nobody-of-this-name\"\n", "there is no account nobody-of-this-name"),
    ] {
        let missing = around.settings(&format!("[[before]]\n{words}"));
        let done = crate::commands::run(&["check", "--config", &missing]);
        assert_eq!(done.status.code(), Some(7), "{}", text(&done.stderr));
        assert!(text(&done.stderr).contains(why), "{}", text(&done.stderr));
    }
    assert!(!around.at("ran").exists() && !Path::new("/ran").exists());
}
