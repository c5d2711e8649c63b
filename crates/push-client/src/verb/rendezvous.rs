//! `push-client rendezvous`: prints what this host needs where it may call nobody.

use std::fs;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::path::Path;

use cli::settings::SettingsError;
use cli::{Exit, Failed, Run};

use crate::args::RendezvousVerb;
use crate::openssh::HostKey;
use crate::rendezvous::Rendezvous;

pub(super) fn rendezvous(run: &mut Run, verb: &RendezvousVerb) -> Result<Exit, Failed> {
    match verb {
        RendezvousVerb::Key { file, port, from } => run.line(&key_line(file, *port, *from)?),
        RendezvousVerb::SshdConfig { port } => {
            for line in (Rendezvous { port: *port, from: None }).sshd_config().lines() {
                run.line(line);
            }
        }
    }
    Ok(Exit::WHOLE)
}

fn key_line(file: &Path, port: NonZeroU16, from: Option<IpAddr>) -> Result<String, Failed> {
    let text = fs::read_to_string(file)
        .map_err(|error| Failed::machine("reading the server's public key", error))?;
    let key = HostKey::parse(&text)
        .map_err(|error| SettingsError::value(file, "the public key", error.to_string()))?;
    Ok(Rendezvous { port, from }.key_line(&key))
}
