//! Programs that see another time than the machine's, whose clock nobody sets.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

/// Where Debian puts the library that makes a process see another time.
#[must_use]
pub fn library() -> PathBuf {
    format!("/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1", std::env::consts::ARCH).into()
}

/// The same command at another time, in words of libfaketime: `+400d`, or `@2031-02-01 03:00:00` for UTC. So do all that it starts.
#[must_use]
pub fn at(plain: &Command, time: &str) -> Command {
    let mut line: Vec<OsString> = plain.get_args().map(OsString::from).collect();
    line.insert(0, plain.get_program().into());
    // What changes the account must not be fooled: it would keep what libfaketime shares for itself.
    let program = line.iter().position(|word| word == "--").map_or(0, |place| place + 1);
    let preload = format!("LD_PRELOAD={}", library().display());
    let time = format!("FAKETIME={time}");
    let words = ["env", "TZ=UTC", &preload, &time, "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"];
    line.splice(program..program, words.map(OsString::from));
    let mut line = line.into_iter();
    let mut command = Command::new(line.next().unwrap_or_default());
    command.args(line);
    command
}
