//! The login shell of an outbox: hands out one archive, once, until a time, and does nothing else.
//!
//! sshd starts it in a chroot that holds this program, `out` (root's: the archive, and until when it may be had) and `mark` (its own: that it was
//! fetched). It takes no path, name or option from the network, reads no standard input, and has no way to a history: there is none in the
//! chroot, and its account may read none outside of it. Document: docs/decisions/0030.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use durable::{Dir, Name};
use sandbox::{Confinement, Profile};

/// The archive.
const ARCHIVE: Name<'static> = Name::literal("files.tar");
/// The second after which nothing is handed out, since 1970, as a line of digits.
const UNTIL: Name<'static> = Name::literal("until");
/// There once the last byte was handed to sshd.
const FETCHED: Name<'static> = Name::literal("fetched");
/// Held by the session that hands out.
const LOCK: Name<'static> = Name::literal(".lock");

/// Digits of any time that will be.
const UNTIL_BYTES_MAX: u64 = 20;
const PIECE_BYTES: usize = 128 * 1024;
const MEMORY_BYTES: u64 = 64 << 20;
const OPEN_FILES: u64 = 16;

/// Codes of docs/exit-codes.md.
const MACHINE: u8 = 4;
const USAGE: u8 = 2;
const BUSY: u8 = 10;
const NOTHING: u8 = 43;

const HELP: &str = "\
Hands out the archive of one grant, once. Started by sshd, not by hand.

usage:
  outbox -c ANYTHING       as the login shell of a chrooted account: the outbox is /
  outbox --outbox DIR      the same for the outbox DIR, without a chroot
  outbox --help | --version

It writes to standard output, reads out/until and out/files.tar, and leaves mark/fetched when all was taken. Nothing of what the other side
says is read.

example, on the host that was given a grant:
  ssh -T -i /etc/firn/push_ed25519 firnout-web01@backup.example.org > files.tar

It ends with 0 when all was handed out, with 43 when there is no grant, or it is over or was used, with 10 while another session fetches.
";

/// Why nothing, or not all, is handed out: fixed words, and the code.
struct Refusal(u8, &'static str);

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    // A login shell without a command has a name that begins with a dash.
    let is_login = words.next().is_some_and(|name| name.as_encoded_bytes().starts_with(b"-"));
    let ended = match words.next().as_ref().map(|word| word.as_encoded_bytes()) {
        Some(b"-c") => serve(Path::new("/")),
        None if is_login => serve(Path::new("/")),
        Some(b"--help" | b"-h") => print(HELP),
        Some(b"--version") => print(concat!("outbox ", env!("CARGO_PKG_VERSION"), "\n")),
        Some(b"--outbox") => match words.next() {
            Some(folder) => serve(Path::new(&folder)),
            None => Err(Refusal(USAGE, "usage: see outbox --help")),
        },
        _ => Err(Refusal(USAGE, "usage: see outbox --help")),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(Refusal(code, why)) => {
            // If nobody listens, the exit code still says it.
            let _ = writeln!(std::io::stderr(), "outbox: {why}");
            ExitCode::from(code)
        }
    }
}

fn print(text: &str) -> Result<(), Refusal> {
    std::io::stdout().write_all(text.as_bytes()).map_err(|_| Refusal(MACHINE, "cannot write"))
}

fn serve(folder: &Path) -> Result<(), Refusal> {
    let broken = |_| Refusal(MACHINE, "this outbox is not whole");
    let outbox = Dir::open_root(folder).map_err(broken)?;
    let out = outbox.open_dir(Name::literal("out")).map_err(broken)?;
    let mark = outbox.open_dir(Name::literal("mark")).map_err(broken)?;
    drop(outbox);
    confine(&out, &mark)?;
    let lock = mark.try_lock(LOCK).map_err(|_| Refusal(MACHINE, "cannot lock"))?;
    let _alone = lock.ok_or(Refusal(BUSY, "another session fetches right now"))?;
    if mark.stat(FETCHED).is_ok() {
        return Err(Refusal(NOTHING, "this grant was used"));
    }
    let until = until(&out)?;
    let archive = out.open_read(ARCHIVE).map_err(|_| Refusal(NOTHING, "there is no grant"))?;
    hand_out(archive, until)?;
    // Whoever took all but the very last of it may come again; whoever took all may not.
    let marked = mark.create_new(FETCHED, 0o640).and_then(|_| mark.sync());
    marked.map_err(|_| Refusal(MACHINE, "all was handed out, and that cannot be noted"))
}

/// What is left to this process: to read `out`, to write files in `mark`, and its own descriptors.
fn confine(out: &Dir, mark: &Dir) -> Result<(), Refusal> {
    let failed = |_| Refusal(MACHINE, "cannot confine itself: this kernel must have landlock and seccomp");
    sandbox::limits::limit_core_zero().map_err(failed)?;
    sandbox::limits::limit_memory(MEMORY_BYTES).map_err(failed)?;
    sandbox::limits::limit_open_files(OPEN_FILES).map_err(failed)?;
    let confinement = Confinement::new(Profile::Receiver).read_beneath(out).write_files_beneath(mark);
    let _in_force = confinement.apply().map_err(failed)?;
    Ok(())
}

fn until(out: &Dir) -> Result<u64, Refusal> {
    let file = out.open_read(UNTIL).map_err(|_| Refusal(NOTHING, "there is no grant"))?;
    let mut text = String::new();
    let read = file.take(UNTIL_BYTES_MAX + 1).read_to_string(&mut text);
    let until = read.ok().and_then(|_| text.trim_end().parse().ok());
    until.ok_or(Refusal(MACHINE, "until when the grant lasts cannot be read"))
}

/// Asks the clock before each piece: a slow line does not make a grant longer.
fn hand_out(mut archive: File, until: u64) -> Result<(), Refusal> {
    let mut to = std::io::stdout().lock();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |since| since.as_secs());
        if now >= until {
            return Err(Refusal(NOTHING, "this grant is over"));
        }
        let read = archive.read(&mut piece).map_err(|_| Refusal(MACHINE, "cannot read the archive"))?;
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        to.write_all(bytes).map_err(|_| Refusal(MACHINE, "the host is gone; it may fetch again"))?;
    }
    to.flush().map_err(|_| Refusal(MACHINE, "the host is gone; it may fetch again"))
}
