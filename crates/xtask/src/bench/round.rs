//! Measuring one subject: rounds in which everyone runs once.

use super::archiver::Repository;
use super::ours::Ours;
use super::peer::Peer;
use super::row::Row;
use super::runner::{Cipher, Figures, Runner, Took, Transport, runners};
use super::subject::Subject;
use super::{Bench, floor};
use crate::screen::Step;
use crate::trouble::{Result, Trouble};

/// The ones a round needs, made ready.
struct Runners {
    peer: Peer,
    ours: Vec<Ours>,
    repositories: Vec<Repository>,
}

/// The rows of a subject.
pub(crate) fn measure(bench: &mut Bench, subject: Subject, only: &str, rounds: u32) -> Result<Vec<Row>> {
    let versus: Vec<_> = subject.versus().iter().copied().filter(|row| row.id.starts_with(only)).collect();
    let everyone = runners(&versus);
    let Some(first) = versus.first() else { return Ok(Vec::new()) };
    let mut ready = {
        let _step = Step::spinner(format!("{}: getting ready", first.id));
        Runners::prepare(bench, subject, &everyone)?
    };
    let step = Step::count(format!("{}: measuring", first.id), u64::from(rounds) * everyone.len() as u64);
    let mut figures = Figures::default();
    for round in 0..rounds as usize {
        let mut order = everyone.clone();
        order.rotate_left(round % everyone.len());
        for runner in order {
            let took = ready.run(bench, subject, runner)?;
            figures.add(runner, took);
            step.advance();
        }
    }
    Ok(versus.iter().map(|versus| figures.row(versus)).collect())
}

impl Runners {
    fn prepare(bench: &mut Bench, subject: Subject, everyone: &[Runner]) -> Result<Runners> {
        let peer = Peer::prepare(&mut bench.scratch)?;
        let (mut ours, mut repositories) = (Vec::new(), Vec::new());
        let source = bench.source(subject).to_owned();
        for runner in everyone {
            if let Runner::Ours(transport) = runner {
                ours.push(Ours::prepare(bench, subject, *transport)?);
            }
        }
        peer.let_in(&mut bench.scratch)?;
        for runner in everyone {
            match *runner {
                Runner::Archiver(archiver) => {
                    let repository = Repository::new(bench, &peer, archiver)?;
                    if subject.is_unchanged() {
                        repository.begin(bench, &peer)?;
                        repository.backup(bench, &peer, &source)?;
                        repository.backup(bench, &peer, &source)?;
                    }
                    repositories.push(repository);
                }
                Runner::Rsync(Cipher::Default) if subject.is_unchanged() => {
                    peer.push(bench, &source, "kept", Cipher::Default)?;
                }
                Runner::Ours(_) | Runner::Rsync(_) | Runner::Floor(_) => {}
            }
        }
        Ok(Runners { peer, ours, repositories })
    }

    fn run(&mut self, bench: &mut Bench, subject: Subject, runner: Runner) -> Result<Took> {
        let source = bench.source(subject).to_owned();
        match runner {
            Runner::Ours(transport) => {
                let ours = self.ours.iter_mut().find(|ours| ours.transport == transport);
                let ours = ours.ok_or_else(unready)?;
                ours.run(bench, &self.peer, subject)
            }
            Runner::Rsync(cipher) => self.rsync(bench, subject, cipher),
            Runner::Archiver(archiver) => {
                let repository = self.repositories.iter().find(|one| one.archiver == archiver);
                let repository = repository.ok_or_else(unready)?;
                if !subject.is_unchanged() {
                    repository.begin(bench, &self.peer)?;
                }
                bench.disk.flush()?;
                let took = repository.backup(bench, &self.peer, &source)?;
                if !subject.is_unchanged() {
                    repository.end()?;
                }
                Ok(Took::only(took))
            }
            Runner::Floor(kind) => {
                bench.disk.flush()?;
                let by_ssh2 = self.ours.iter().find(|ours| ours.transport == Transport::Ssh2);
                let host = by_ssh2.map(|ours| &ours.host);
                Ok(Took::only(floor::run(bench, &self.peer, &source, host, kind)?))
            }
        }
    }

    fn rsync(&self, bench: &Bench, subject: Subject, cipher: Cipher) -> Result<Took> {
        let name = if subject.is_unchanged() { "kept" } else { "new" };
        bench.disk.flush()?;
        let sealed = self.peer.push(bench, bench.source(subject), name, cipher)?;
        let linked = self.peer.link(name)?;
        if !subject.is_unchanged() {
            std::fs::remove_dir_all(self.peer.target(name))?;
        }
        Ok(Took { sealed, snapshot: Some(sealed + linked) })
    }
}

fn unready() -> Trouble {
    Trouble::new("nobody was made ready")
}
