//! From a connected socket to an open channel: keys agreed, the server known, ourselves let in. In this order.

use std::os::fd::OwnedFd;

use ssh2::{Channel, ErrorCode, ExtendedData, MethodType, Session};

use super::ending::{Ended, Ending};
use super::handover::Handover;

/// What the receiver is asked to run; it does not look at it.
const COMMAND: &str = "push";

/// Opens the channel. Every step that waits has a deadline.
pub(super) fn login(handover: &Handover, session: Session, socket: OwnedFd) -> Result<Channel, Ended> {
    let words = |ending| move |error: ssh2::Error| Ended::new(ending, error.message().to_owned());
    let session = let_in(handover, session, socket)?;
    let mut channel = session.channel_session().map_err(words(Ending::Channel))?;
    // What the far side writes to its standard error is nothing we act on; unread it would fill the window.
    channel.handle_extended_data(ExtendedData::Ignore).map_err(words(Ending::Channel))?;
    channel.exec(COMMAND).map_err(words(Ending::Channel))?;
    session.set_blocking(false);
    Ok(channel)
}

/// Agrees on keys, knows the server, is let in.
pub(super) fn let_in(handover: &Handover, mut session: Session, socket: OwnedFd) -> Result<Session, Ended> {
    let words = |ending| move |error: ssh2::Error| Ended::new(ending, error.message().to_owned());
    session.set_tcp_stream(socket);
    session.set_blocking(true);
    session.set_timeout(handover.connect_seconds.saturating_mul(1_000));
    let ciphers = handover.ciphers.join(",");
    for (method, wanted) in [
        (MethodType::HostKey, "ssh-ed25519"),
        (MethodType::CryptCs, &ciphers),
        (MethodType::CryptSc, &ciphers),
    ] {
        session.method_pref(method, wanted).map_err(words(Ending::Agreement))?;
    }
    session.handshake().map_err(words(Ending::Agreement))?;
    // Before anything of ours is sent.
    match session.host_key() {
        Some((key, _)) if key == handover.host_key => {}
        _ => return Err(Ended::new(Ending::HostKey, "it showed another ed25519 key")),
    }
    let account = handover.account.as_str();
    session
        .userauth_pubkey_memory(account, None, &handover.key, None)
        .map_err(|error| Ended::new(ending_of(&error), format!("account {account}: {}", error.message())))?;
    Ok(session)
}

/// libssh2's numbers for a key that the server does not take; with any other it has not said so.
fn ending_of(error: &ssh2::Error) -> Ending {
    match error.code() {
        ErrorCode::Session(-18 | -19) => Ending::Login,
        _ => Ending::Lost,
    }
}
