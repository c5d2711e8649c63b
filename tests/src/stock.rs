//! Restoring and comparing with tools that know nothing of Firn.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{At, Result, RigError};
use crate::outcome::Outcome;
use crate::scratch::Scratch;

/// The segments of the newest ice of `host` in the vault's folder, in order, as its record names them: some may lie in the folders of earlier
/// ices.
///
/// # Errors
/// If there is none.
pub fn segments(vault: &Path, host: &str) -> Result<Vec<PathBuf>> {
    let objects = vault.join("objects");
    let ices = objects.join("ice").join(host);
    let none = || RigError::State(format!("there is no whole ice in {}", ices.display()));
    let records = list(&ices)?.into_iter().rev().map(|ice| ice.join("ice.json"));
    let newest = records.into_iter().find(|record| record.exists()).ok_or_else(none)?;
    let record: serde_json::Value =
        serde_json::from_slice(&fs::read(&newest).at("read", &newest)?).map_err(|_| none())?;
    let named = record.get("segments").and_then(serde_json::Value::as_array).ok_or_else(none)?;
    named
        .iter()
        .map(|one| Ok(objects.join(one.get("object").and_then(serde_json::Value::as_str).ok_or_else(none)?)))
        .collect()
}

/// `gpg --decrypt` of each segment, in order, into one file. `heard` is told how many bytes are written after each piece.
///
/// # Errors
/// If gpg refuses one.
pub fn decrypt(
    scratch: &Scratch,
    segments: &[PathBuf],
    image: &Path,
    heard: &mut dyn FnMut(u64),
) -> Result<()> {
    let mut out = File::create(image).at("create", image)?;
    let mut written = 0;
    for segment in segments {
        let mut gpg = scratch.key.gpg();
        gpg.arg("--decrypt").arg(segment).stdin(Stdio::null()).stderr(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            gpg.spawn().map_err(|source| RigError::Start { program: "gpg".to_owned(), source })?;
        if let Some(mut plain) = child.stdout.take() {
            copy(&mut plain, &mut out, &mut written, heard).at("write", image)?;
        }
        let output = child
            .wait_with_output()
            .map_err(|source| RigError::Start { program: "gpg".to_owned(), source })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(RigError::State(format!("gpg does not decrypt {}:\n{said}", segment.display())));
        }
    }
    Ok(())
}

/// `unsquashfs` of an image into a folder that does not exist yet.
///
/// # Errors
/// If it fails.
pub fn unsquash(image: &Path, target: &Path) -> Result<()> {
    let mut command = Command::new("unsquashfs");
    command.args(["-quiet", "-no-progress", "-dest"]).arg(target).arg(image);
    Outcome::of(&mut command)?.expect_code(&[0]).map(drop)
}

/// What `diff -r --no-dereference` says: nothing, if both folders hold the same.
///
/// # Errors
/// If diff itself fails.
pub fn diff(left: &Path, right: &Path) -> Result<String> {
    let outcome = Outcome::of(Command::new("diff").args(["-r", "--no-dereference"]).arg(left).arg(right))?
        .expect_code(&[0, 1])?;
    // diff cannot compare what is neither file, folder nor link; that both are of one kind is all it could know.
    let same_kind = |line: &str| {
        let mut words = line.split(" is a ");
        let kinds: Vec<_> =
            words.by_ref().skip(1).map(|rest| rest.split(" while").next().unwrap_or(rest)).collect();
        line.starts_with("File ") && matches!(kinds.as_slice(), [left, right] if left == right)
    };
    Ok(outcome.stdout.lines().filter(|line| !same_kind(line)).collect::<Vec<_>>().join("\n"))
}

/// What `rsync -naHAXi --delete --checksum --numeric-ids` would change in `right` to make it `left`: nothing, if both are the same, metadata and all.
///
/// # Errors
/// If rsync fails.
pub fn rsync_differences(left: &Path, right: &Path) -> Result<String> {
    let mut command = Command::new("rsync");
    command.args(["-naHAXi", "--delete", "--checksum", "--numeric-ids"]);
    command.arg(with_slash(left)).arg(with_slash(right));
    Ok(Outcome::of(&mut command)?.expect_code(&[0])?.stdout)
}

/// The folder an absolute path has below another folder: `/etc` in `/restored` is `/restored/etc`.
#[must_use]
pub fn below(folder: &Path, path: &Path) -> PathBuf {
    folder.join(path.strip_prefix("/").unwrap_or(path))
}

fn copy(
    from: &mut dyn Read,
    to: &mut dyn Write,
    written: &mut u64,
    heard: &mut dyn FnMut(u64),
) -> std::io::Result<()> {
    let mut piece = vec![0; 1 << 20];
    loop {
        let count = from.read(&mut piece)?;
        let Some(bytes) = piece.get(..count).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        to.write_all(bytes)?;
        *written += count as u64;
        heard(*written);
    }
}

fn with_slash(path: &Path) -> PathBuf {
    path.join("")
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths: Vec<_> =
        fs::read_dir(folder).at("list", folder)?.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}
