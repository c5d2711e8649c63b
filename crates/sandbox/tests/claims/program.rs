//! A process that becomes a program of somebody else's.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::Command;

use sandbox::{ForProgram, LandlockState};

use crate::prisoner::held;
use crate::world::{World, users};

/// Prints one word for each thing that it could do.
const SCRIPT: &str = "cat $FIRN_WORLD/readable/file >/dev/null && echo shown
cat $FIRN_WORLD/outside/file >/dev/null && echo hidden
: >> $FIRN_WORLD/readable/file && echo changed
: > $FIRN_WORLD/outside/empty/new && echo made
sh -c 'echo started'
exec 3<>/dev/tcp/127.0.0.1/$FIRN_PORT && echo connected
kill -0 $FIRN_PARENT && echo signalled
grep -Eq '^Cap(Prm|Eff):\t0*$' /proc/self/status || echo powers";

pub(crate) fn bound() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    for user in users() {
        let world = World::new(user);
        let run = |word| {
            let mut prisoner = world.prisoner(&["program", word]);
            prisoner.env("FIRN_PORT", &port).env("FIRN_PARENT", std::process::id().to_string());
            let done = prisoner.output().unwrap();
            String::from_utf8(done.stdout).unwrap()
        };
        let (free, bound) = (run("free"), run("bound"));
        let words = |text: &str| text.lines().map(ToOwned::to_owned).collect::<Vec<_>>();
        // Control: all of it can be done; capabilities and signals to us only by whom they are given.
        for word in ["shown", "hidden", "changed", "made", "started", "connected"] {
            assert!(words(&free).iter().any(|said| said == word), "free: {word} is not in {free}");
        }
        let expected = ["shown", "started", "connected"];
        assert_eq!(words(&bound), expected, "{user:?}");
    }
}

pub(crate) fn child(word: &str) {
    let held = held();
    let open = |path| File::open(path).ok();
    let programs: Vec<File> = ["/usr", "/bin", "/lib", "/lib64"].into_iter().filter_map(open).collect();
    let others: Vec<File> = ["/proc", "/etc/ld.so.cache"].into_iter().filter_map(open).collect();
    let null = File::open("/dev/null").unwrap();
    let mut shell = Command::new("/bin/bash");
    if word == "bound" {
        let mut program = ForProgram::default().read_beneath(&held.readable).device(&null);
        for folder in &programs {
            program = program.run_beneath(folder);
        }
        for file in &others {
            program = program.read_beneath(file);
        }
        match program.apply().unwrap() {
            LandlockState::Absent => panic!("this kernel has no landlock"),
            // Signals are refused from ABI 6 on.
            LandlockState::Enforced { abi } if abi < 6 => drop(shell.env_remove("FIRN_PARENT")),
            LandlockState::Enforced { .. } => {}
        }
    }
    let error = shell.args(["-c", SCRIPT]).exec();
    panic!("{error}");
}
