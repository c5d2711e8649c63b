//! Sealing and uploading an image, against `gpg --encrypt | boto3`, to one local S3 server.
//!
//! The image is built before; timed is `iceboxer run` that goes on with it: sealed, uploaded, every lock read back, catalogued, in the ledger.
//! The peer encrypts the same file to the same certificate, without compression, and uploads what comes out of the pipe.

mod store;
mod watch;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use pipeline_tests::verbs::Hear;
use pipeline_tests::{Host, Outcome};

use super::row::Row;
use super::{Bench, SEED};
use crate::screen::Step;
use crate::trouble::{Result, Trouble};
use store::{BUCKET, Store};

/// The file whose image is sealed: half of it shrinks to next to nothing, so the image has half its length.
const FILE_BYTES: u64 = 2 << 30;
/// What most rows are measured with: small enough for all cores to have a segment.
const SEGMENT_BYTES: u64 = 128 << 20;
/// What iceboxer takes unless told otherwise.
const DEFAULT_SEGMENT_BYTES: u64 = 1 << 30;
const HOST: &str = "bench-ice";
const MIB: f64 = 1_048_576.0;
/// Goals: times as fast, MiB, share of the time.
const FASTER: f64 = 1.5;
const MEMORY_MIB: f64 = 300.0;
const BUSY: f64 = 0.85;

/// The ids of the rows.
pub(crate) const IDS: [&str; 7] =
    ["ice.seal", "ice.seal.1g", "ice.cpu", "floor.ice.gpg", "ice.rss", "ice.disk", "ice.busy"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runner {
    Ours,
    OneSegment,
    Peer,
    GpgAlone,
}

const RUNNERS: [Runner; 4] = [Runner::Ours, Runner::OneSegment, Runner::Peer, Runner::GpgAlone];

#[derive(Debug, Default)]
struct Figures {
    ours: Vec<f64>,
    ours_processor: Vec<f64>,
    one_segment: Vec<f64>,
    peer: Vec<f64>,
    peer_processor: Vec<f64>,
    gpg: Vec<f64>,
    busy: Vec<f64>,
}

/// Measures all rows.
pub(crate) fn measure(bench: &mut Bench, rounds: u32) -> Result<Vec<Row>> {
    Store::build()?;
    let ice = Ice::prepare(bench)?;
    let step = Step::count("ice: measuring", u64::from(rounds) * RUNNERS.len() as u64 + 1);
    let mut figures = Figures::default();
    for round in 0..rounds as usize {
        let mut order = RUNNERS;
        order.rotate_left(round % RUNNERS.len());
        for runner in order {
            ice.run(bench, runner, &mut figures)?;
            step.advance();
        }
    }
    let peak = ice.peak(bench)?;
    let image = ice.image_bytes as f64 / MIB;
    Ok(vec![
        Row::against("ice.seal", "gpg -z0 | boto3", &figures.ours, &figures.peer, Some(FASTER)),
        Row::against("ice.seal.1g", "gpg -z0 | boto3", &figures.one_segment, &figures.peer, None),
        Row::against("ice.cpu", "gpg -z0 | boto3", &figures.ours_processor, &figures.peer_processor, None),
        Row::against("floor.ice.gpg", "gpg -z0 > /dev/null", &figures.ours, &figures.gpg, None),
        Row::at_most("ice.rss", "MiB", peak.memory as f64 / MIB, MEMORY_MIB),
        Row::at_most("ice.disk", "MiB", peak.disk as f64 / MIB, image),
        Row::at_least("ice.busy", "of the time", &figures.busy, BUSY),
    ])
}

/// An image that waits, twice: cut in several segments, and in one.
struct Ice {
    folder: PathBuf,
    image_bytes: u64,
}

impl Ice {
    /// Pushes and ingests a file, and has its image built and left waiting: by a run whose credentials are refused.
    fn prepare(bench: &mut Bench) -> Result<Ice> {
        let _step = Step::spinner("ice: building an image of 1 GiB");
        let folder = bench.scratch.folder.join("bench-ice");
        let source = folder.join("source");
        fs::create_dir_all(&source)?;
        pipeline_tests::data::write_file(&source.join("file"), SEED, FILE_BYTES)?;
        let host: Host = bench.scratch.add_host(HOST, &[source])?;
        bench.scratch.write_hosts_settings()?;
        let (push, _) = bench.scratch.push_and_ingest(&host, Hear::Kept)?;
        push.expect_code(&[0, 18])?;
        bench.scratch.ingest()?.expect_code(&[0])?;
        let mut ice = Ice { folder, image_bytes: 0 };
        for (name, segment_bytes) in [("several", SEGMENT_BYTES), ("one", DEFAULT_SEGMENT_BYTES)] {
            let store = Store::start()?;
            ice.settle(bench, &store, segment_bytes, "wrong")?;
            let outcome = Outcome::of(&mut ice.iceboxer(bench))?;
            let image = ice.staging().join(HOST).join("image");
            ice.image_bytes = fs::metadata(&image)
                .map_err(|_| Trouble::new(format!("no image waits:\n{}", outcome.said())))?
                .len();
            copy(&ice.staging(), &ice.folder.join(name))?;
        }
        Ok(ice)
    }

    fn staging(&self) -> PathBuf {
        self.folder.join("staging")
    }

    /// Settings, credentials and an empty ledger.
    fn settle(&self, bench: &Bench, store: &Store, segment_bytes: u64, secret: &str) -> Result<()> {
        let at = |name: &str| self.folder.join(name);
        let credentials = format!("access_key_id = {:?}\nsecret_access_key = {secret:?}\n", store.access);
        fs::write(at("credentials.toml"), credentials)?;
        fs::set_permissions(at("credentials.toml"), fs::Permissions::from_mode(0o600))?;
        let _ = fs::remove_dir_all(at("ledger"));
        let text = format!(
            "history = {:?}\nstaging = {:?}\nledger = {:?}\nsegment_bytes = {segment_bytes}\n[[recipients]]\ncertificate = {:?}\nfingerprint = {:?}\n[[vaults]]\nname = \"off-site\"\nurl = \"s3:{BUCKET}\"\nendpoint = {:?}\npath_style = true\nstorage_class = \"STANDARD\"\ncredentials_file = {:?}\nretention_days = 92\nprove_lock = \"never\"\n",
            bench.scratch.folder.join("history"),
            self.staging(),
            at("ledger"),
            bench.scratch.key.certificate,
            bench.scratch.key.fingerprint,
            store.endpoint,
            at("credentials.toml"),
        );
        fs::write(at("ice.toml"), text)?;
        Ok(())
    }

    fn iceboxer(&self, bench: &Bench) -> Command {
        let mut command = Command::new(bench.scratch.folder.join("bin/iceboxer"));
        command.args(["run", HOST, "--json", "--config"]).arg(self.folder.join("ice.toml"));
        command
    }

    /// The staging folder as it was built.
    fn lay(&self, bench: &Bench, store: &Store, runner: Runner) -> Result<()> {
        let (template, segment_bytes) = match runner {
            Runner::OneSegment => ("one", DEFAULT_SEGMENT_BYTES),
            _ => ("several", SEGMENT_BYTES),
        };
        let _ = fs::remove_dir_all(self.staging());
        copy(&self.folder.join(template), &self.staging())?;
        self.settle(bench, store, segment_bytes, &store.secret)?;
        bench.disk.flush()
    }

    fn run(&self, bench: &Bench, runner: Runner, figures: &mut Figures) -> Result<()> {
        let store = Store::start()?;
        self.lay(bench, &store, runner)?;
        let image = self.staging().join(HOST).join("image").display().to_string();
        let certificate = bench.scratch.key.certificate.display().to_string();
        let gpg = "gpg --homedir \"$1\" --batch --quiet --trust-model always -z 0 --recipient-file \"$2\" --encrypt --output - \"$3\"";
        let home = self.folder.join("gpg");
        fs::create_dir_all(&home)?;
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700))?;
        let (home, upload) = (home.display().to_string(), self.folder.join("upload.py"));
        match runner {
            Runner::Ours | Runner::OneSegment => {
                let (program, config) =
                    (bench.scratch.folder.join("bin/iceboxer"), self.folder.join("ice.toml"));
                let (program, config) = (program.display().to_string(), config.display().to_string());
                let took =
                    watch::timed("\"$1\" run \"$2\" --json --config \"$3\"", &[&program, HOST, &config])?;
                if runner == Runner::OneSegment {
                    figures.one_segment.push(took.wall);
                } else {
                    figures.ours.push(took.wall);
                    figures.ours_processor.push(took.processor);
                    figures.busy.push(busy(&took.stdout)?);
                }
            }
            Runner::Peer => {
                fs::write(&upload, include_str!("upload.py"))?;
                let script = format!("{gpg} | python3 \"$4\" \"$5\" \"$6\" \"$7\" {BUCKET} image.gpg");
                let upload = upload.display().to_string();
                let words =
                    [&*home, &certificate, &image, &upload, &store.endpoint, &store.access, &store.secret];
                let took = watch::timed(&script, &words)?;
                figures.peer.push(took.wall);
                figures.peer_processor.push(took.processor);
            }
            Runner::GpgAlone => {
                let took = watch::timed(&format!("{gpg} > /dev/null"), &[&home, &certificate, &image])?;
                figures.gpg.push(took.wall);
            }
        }
        Ok(())
    }

    /// One more run, looked at all the time, and therefore not timed.
    fn peak(&self, bench: &Bench) -> Result<watch::Peak> {
        let store = Store::start()?;
        self.lay(bench, &store, Runner::Ours)?;
        watch::watch(&mut self.iceboxer(bench), bench.disk.folder())
    }
}

/// The share of the time in which the slower of sealing and sending was at work.
fn busy(stdout: &str) -> Result<f64> {
    let report: serde_json::Value = serde_json::from_str(stdout.lines().last().unwrap_or_default())?;
    let ice = report.pointer("/details/ices/0");
    let seconds = |name: &str| ice?.get(name)?.as_f64();
    match (seconds("seconds"), seconds("sealing_seconds"), seconds("putting_seconds")) {
        (Some(whole), Some(sealing), Some(putting)) => Ok(sealing.max(putting) / whole),
        _ => Err(Trouble::new("the report has no times")),
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    Outcome::of(Command::new("cp").args(["--archive", "--no-target-directory"]).args([from, to]))?
        .expect_code(&[0])?;
    Ok(())
}
