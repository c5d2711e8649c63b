//! An alarm in plain words.

use formats::records::log::{Alarm, Tripped};

/// One sentence without its end. What is in it of a host's was made fit to be shown when it was noted.
pub(crate) fn words(what: Alarm, tripwire: Option<&Tripped>) -> String {
    let text = match what {
        Alarm::SecondInstallation => "another installation pushes under this host's name",
        Alarm::CounterReused => "the installation used a push counter twice: it was cloned or set back",
        Alarm::Changed => "many files have other bytes, and the old ones are gone",
        Alarm::Deleted => "many files are gone, and their bytes with them",
        Alarm::Shrunken => "many files have less than a quarter of their size",
        Alarm::Noise => "many files look encrypted that did not before",
        Alarm::Extension => "many files were replaced by such with an ending that the host never had",
        Alarm::Canary => "a canary was changed or deleted",
    };
    let Some(Tripped { found, of, limit, extension, .. }) = tripwire else { return text.to_owned() };
    let ending = extension.as_ref().map(|ending| format!(" (.{ending})")).unwrap_or_default();
    match what {
        Alarm::Canary => format!("{text}: {found} files"),
        _ => format!("{text}{ending}: {found} of {of}, and {limit} are an alarm"),
    }
}
