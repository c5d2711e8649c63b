//! Measuring one subject: rounds in which everyone runs once.

use std::time::Duration;

use pipeline_tests::Host;

use super::peer::{Cipher, Peer};
use super::row::Row;
use super::{Bench, Subject, floor, ours};
use crate::screen::Step;
use crate::trouble::Result;

/// Who runs in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runner {
    Ours,
    Rsync,
    RsyncGcm,
    Floor,
}

const RUNNERS: [Runner; 4] = [Runner::Ours, Runner::Rsync, Runner::RsyncGcm, Runner::Floor];

/// Times of all rounds.
#[derive(Debug, Default)]
struct Times {
    ours: Vec<f64>,
    rsync: Vec<f64>,
    rsync_gcm: Vec<f64>,
    floor: Vec<f64>,
}

/// Three rows: against rsync, against rsync with the fastest cipher, against the floor.
pub(crate) fn measure(bench: &mut Bench, subject: Subject, rounds: u32) -> Result<Vec<Row>> {
    let [id, gcm_id, floor_id] = subject.ids();
    let host = {
        let _step = Step::spinner(format!("{id}: getting ready"));
        ours::prepare(bench, subject)?
    };
    let peer = Peer::prepare(&mut bench.scratch)?;
    if subject == Subject::Unchanged {
        peer.push(bench, bench.source(subject), "kept", Cipher::Default)?;
    }
    let step = Step::count(format!("{id}: measuring"), u64::from(rounds) * RUNNERS.len() as u64);
    let mut times = Times::default();
    for round in 0..rounds as usize {
        let mut order = RUNNERS;
        order.rotate_left(round % RUNNERS.len());
        for runner in order {
            bench.disk.flush()?;
            let seconds = run(bench, &peer, &host, subject, runner)?.as_secs_f64();
            match runner {
                Runner::Ours => times.ours.push(seconds),
                Runner::Rsync => times.rsync.push(seconds),
                Runner::RsyncGcm => times.rsync_gcm.push(seconds),
                Runner::Floor => times.floor.push(seconds),
            }
            step.advance();
        }
    }
    Ok(vec![
        Row::against(id, "rsync -aHAX", &times.ours, &times.rsync, Some(1.0)),
        Row::against(gcm_id, "rsync -aHAX, aes128-gcm", &times.ours, &times.rsync_gcm, None),
        Row::against(floor_id, floor::name(subject), &times.ours, &times.floor, None),
    ])
}

fn run(bench: &Bench, peer: &Peer, host: &Host, subject: Subject, runner: Runner) -> Result<Duration> {
    let cipher = match runner {
        Runner::Ours => {
            let took = ours::push(bench, host)?;
            ours::reset(bench, host, subject)?;
            return Ok(took);
        }
        Runner::Floor => return floor::run(bench, peer, subject),
        Runner::Rsync => Cipher::Default,
        Runner::RsyncGcm => Cipher::Gcm,
    };
    if subject == Subject::Unchanged {
        return peer.push(bench, bench.source(subject), "kept", cipher);
    }
    let took = peer.push(bench, bench.source(subject), "new", cipher)?;
    std::fs::remove_dir_all(peer.target("new"))?;
    Ok(took)
}
