//! Man pages and shell completions, made from the same source as `--help`.

use std::io::{self, Write};

use clap::Command;
use clap_complete::Shell;

use crate::exit::Exit;
use crate::failure::{Failed, Failure};
use crate::text::shown;

/// Two verbs that every program has but does not list: packagers call them. Flattened into the program's own verbs.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Manual {
    /// Print the man page of this program, or of one of its verbs
    #[command(hide = true)]
    Man {
        /// The verb, and the one below it
        verbs: Vec<String>,
    },
    /// Print the completions for a shell
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, thiserror::Error)]
#[error("there is no verb `{verb}`")]
struct NoVerb {
    verb: String,
}

impl Failure for NoVerb {
    fn exit(&self) -> Exit {
        Exit::USAGE
    }
}

impl Manual {
    /// Writes what was asked for, about `command`.
    ///
    /// # Errors
    /// A verb the command does not have (code 2), or what the writer said.
    pub fn write(&self, command: Command, out: &mut dyn Write) -> Result<Exit, Failed> {
        let written = match self {
            Manual::Man { verbs } => man(of_verbs(command, verbs)?, out),
            Manual::Completions { shell } => completions(*shell, command, out),
        };
        written.map(|()| Exit::WHOLE).map_err(|source| Failed::machine("writing the manual", source))
    }
}

fn of_verbs(command: Command, verbs: &[String]) -> Result<Command, NoVerb> {
    // A page about the page would be no help.
    let mut command = command.disable_help_subcommand(true);
    if !verbs.is_empty() {
        // Fills in the names of verbs, so that a verb's page is called push-client-run.
        command.build();
    }
    verbs.iter().try_fold(command, |command, verb| {
        command.find_subcommand(verb).cloned().ok_or_else(|| NoVerb { verb: shown(verb.as_bytes()) })
    })
}

/// The man page of `command`, as roff.
///
/// # Errors
/// What the writer said.
pub fn man(command: Command, out: &mut dyn Write) -> io::Result<()> {
    clap_mangen::Man::new(command).manual("Firn").render(out)
}

/// The completions of `command` for `shell`.
///
/// # Errors
/// What the writer said.
pub fn completions(shell: Shell, mut command: Command, out: &mut dyn Write) -> io::Result<()> {
    let name = command.get_name().to_owned();
    // The generator panics when its writer fails; memory does not fail it.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    out.write_all(&script)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// Pushes files
    #[derive(Debug, clap::Parser)]
    #[command(name = "push-client", version)]
    struct Args {
        #[command(subcommand)]
        verb: Verb,
    }

    #[derive(Debug, clap::Subcommand)]
    #[allow(dead_code, reason = "only the command is looked at")]
    enum Verb {
        /// Sends what changed
        Run {
            /// Sends nothing
            #[arg(long)]
            dry: bool,
        },
        /// Looks after hosts
        Host {
            #[command(subcommand)]
            verb: HostVerb,
        },
        #[command(flatten)]
        Manual(Manual),
    }

    #[derive(Debug, clap::Subcommand)]
    enum HostVerb {
        /// Makes its account
        Add,
    }

    fn written(manual: &Manual) -> String {
        let mut out = Vec::new();
        manual.write(Args::command(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_man_page_comes_from_the_help_and_hides_the_packagers_verbs() {
        let page = written(&Manual::Man { verbs: Vec::new() });
        assert!(page.contains(".TH push-client 1"), "{page}");
        assert!(page.contains("Pushes files"));
        assert!(!page.contains("completions"));
        assert!(!page.contains("help(1)"), "{page}");
    }

    #[test]
    fn every_verb_has_a_man_page_of_its_own() {
        let page = written(&Manual::Man { verbs: vec!["run".into()] });
        assert!(page.contains(".TH push-client-run 1"), "{page}");
        assert!(page.contains("Sends nothing"));
        let page = written(&Manual::Man { verbs: vec!["host".into(), "add".into()] });
        assert!(page.contains(".TH push-client-host-add 1"), "{page}");
        assert!(page.contains("Makes its account"));
        let page = written(&Manual::Man { verbs: vec!["host".into()] });
        assert!(page.contains("host\\-add(1)") && !page.contains("help(1)"), "{page}");
        let error = Manual::Man { verbs: vec!["fly".into()] }.write(Args::command(), &mut Vec::new());
        assert_eq!(error.unwrap_err().exit(), Exit::USAGE);
    }

    #[test]
    fn every_shell_gets_its_completions() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
            assert!(written(&Manual::Completions { shell }).contains("push-client"));
        }
    }
}
