//! Files of reports, and who says whose each report is.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use formats::HostId;
use formats::records::audit::{Audit, Half};
use serde_json::Value;

use crate::audit::shown;
use crate::trouble::Trouble;

/// Longest file of reports, and so much more for each host of this server.
const BYTES_MAX: u64 = 64 << 20;
const HOST_BYTES_MAX: u64 = 16 << 10;
/// Most files.
const FILES_MAX: usize = 1000;

/// What one `--with` or `--with-salt` means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    origin: Origin,
    file: PathBuf,
}

/// Where a file comes from, as the admin says it. Nothing in the file itself can tell: a host may print what looks like Salt's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    Host(HostId),
    Salt,
    Unsaid,
}

/// Whose word it is that a report is of the host that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// The admin's, who wrote `HOST=FILE`.
    Admin(HostId),
    /// Salt's, which knows which minion answered.
    Minion(String),
    /// Nobody's: any machine could have written it.
    Nobody,
}

/// One report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::audit) struct Told {
    pub(super) word: Word,
    /// The file, fit for a screen.
    pub(super) place: String,
    pub(super) audit: Audit,
}

impl Named {
    /// `HOST=FILE`, or `FILE`. A file whose name looks like the first is written `./HOST=FILE`.
    pub(super) fn of(typed: &Path) -> Self {
        let bound = typed.to_str().and_then(|text| {
            let (host, file) = text.split_once('=')?;
            Some(Self { origin: Origin::Host(HostId::parse(host).ok()?), file: PathBuf::from(file) })
        });
        bound.unwrap_or_else(|| Self { origin: Origin::Unsaid, file: typed.to_owned() })
    }

    /// What `salt --out=json` wrote.
    pub(super) fn of_salt(file: &Path) -> Self {
        Self { origin: Origin::Salt, file: file.to_owned() }
    }
}

/// Reads all of them.
pub(super) fn read(files: &[Named], hosts: usize) -> Result<Vec<Told>, Trouble> {
    if files.len() > FILES_MAX {
        let advice = Some("one file of Salt's JSON holds the reports of all minions".to_owned());
        return Err(Trouble::Usage { what: format!("more than {FILES_MAX} files"), advice });
    }
    let most = BYTES_MAX + HOST_BYTES_MAX * hosts as u64;
    let mut all = Vec::new();
    for named in files {
        let place = shown(&named.file);
        let at = || Trouble::stream(format!("reading {place}"));
        let mut bytes = Vec::new();
        File::open(&named.file).map_err(at())?.take(most + 1).read_to_end(&mut bytes).map_err(at())?;
        if bytes.len() as u64 > most {
            let advice = Some("split it, and name each part".to_owned());
            return Err(Trouble::Usage { what: format!("{place} is longer than {most} bytes"), advice });
        }
        all.extend(parse(named, &bytes)?);
    }
    Ok(all)
}

pub(super) fn parse(named: &Named, bytes: &[u8]) -> Result<Vec<Told>, Trouble> {
    let place = shown(&named.file);
    let told = |word: Word, audit| Told { word, place: place.clone(), audit };
    let found: Vec<Told> = match &named.origin {
        Origin::Host(host) => {
            reports(bytes).into_iter().map(|audit| told(Word::Admin(host.clone()), audit)).collect()
        }
        Origin::Salt => {
            let found = of_salt(bytes).unwrap_or_default().into_iter();
            found.map(|(minion, audit)| told(Word::Minion(minion), audit)).collect()
        }
        Origin::Unsaid => reports(bytes).into_iter().map(|audit| told(Word::Nobody, audit)).collect(),
    };
    if found.is_empty() {
        let advice = "collect what `push-client audit --json` prints on each host, and give what `salt --out=json` wrote as --with-salt; docs/audit.md tells how";
        return Err(Trouble::Usage {
            what: format!("{place} holds no report of `push-client audit`"),
            advice: Some(advice.to_owned()),
        });
    }
    Ok(found)
}

/// What `salt --out=json` writes: objects that give, for each minion, what its command printed. None if it is not that.
fn of_salt(bytes: &[u8]) -> Option<Vec<(String, Audit)>> {
    let mut found = Vec::new();
    for value in serde_json::Deserializer::from_slice(bytes).into_iter::<Value>() {
        let Ok(Value::Object(minions)) = value else { return None };
        for (minion, printed) in minions {
            let audits = printed.as_str().map_or_else(Vec::new, |text| reports(text.as_bytes()));
            found.extend(audits.into_iter().map(|audit| (minion.clone(), audit)));
        }
    }
    Some(found)
}

/// One a line. What people read stands between the reports.
fn reports(bytes: &[u8]) -> Vec<Audit> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{"));
    let reports = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let audits = reports.filter_map(|report| report.pointer("/details/audit").cloned());
    audits
        .filter_map(|audit| serde_json::from_value::<Audit>(audit).ok())
        .filter(|audit| audit.half == Half::Host && audit.host.is_some())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUDIT: &str = r#"{"format":"firn.audit/1.0","half":"host","host":"web01","time":"2026-01-02T03:04:05Z","findings":[{"requirement":"R2","verdict":"fail","evidence":[{"verdict":"fail","text":"a key"}]}]}"#;

    fn printed() -> String {
        format!(
            "R2 fail: a key\n{{\"format\":\"firn.report/1.0\",\"details\":{{\"audit\":{AUDIT}}}}}\nweb02:\n"
        )
    }

    fn words(typed: &str, text: &str) -> Vec<Word> {
        words_of(&Named::of(Path::new(typed)), text)
    }

    fn words_of(named: &Named, text: &str) -> Vec<Word> {
        parse(named, text.as_bytes()).unwrap().into_iter().map(|told| told.word).collect()
    }

    #[test]
    fn reports_are_found_between_lines_for_people() {
        assert_eq!(words("a", &printed()), [Word::Nobody]);
        let report = printed().lines().nth(1).unwrap().to_owned();
        assert_eq!(words("a", &format!("{report}\n{report}\n")), [Word::Nobody, Word::Nobody]);
        for none in [
            "",
            "R2 fail\n",
            "{}\n",
            "{\"details\":{\"audit\":7}}\n",
            &AUDIT.replace("\"host\",", "\"server\","),
        ] {
            assert!(parse(&Named::of(Path::new("a")), none.as_bytes()).is_err(), "{none}");
        }
    }

    #[test]
    fn a_host_is_named_by_the_admin_or_by_salt() {
        let host = Word::Admin(HostId::parse("web01").unwrap());
        assert_eq!(words("web01=/root/half", &printed()), [host]);
        for file in ["/root/a=b", "./web01=half", "WEB=half"] {
            assert_eq!(words(file, &printed()), [Word::Nobody], "{file}");
        }
        let minion = |id: &str| serde_json::json!({ id: printed(), "silent": false, "other": "no\n" });
        let of_minion = |id: &str| Word::Minion(id.to_owned());
        // All in one object, or an object after the other, on one line or on many.
        let salt = Named::of_salt(Path::new("a"));
        assert_eq!(words_of(&salt, &format!("{:#}\n", minion("m1"))), [of_minion("m1")]);
        assert_eq!(
            words_of(&salt, &format!("{}\n{:#}\n", minion("m1"), minion("m2"))),
            [of_minion("m1"), of_minion("m2")]
        );
        assert!(parse(&salt, printed().as_bytes()).is_err(), "what one host printed is not Salt's");
    }

    #[test]
    fn a_host_that_prints_what_salt_would_is_not_taken_for_salt() {
        let forged = format!("{}\n", serde_json::json!({ "m1": printed() }));
        for typed in ["a", "web01=a"] {
            assert!(parse(&Named::of(Path::new(typed)), forged.as_bytes()).is_err(), "{typed}");
        }
        // Beside a true report it counts for nothing.
        assert_eq!(words("a", &format!("{forged}{}", printed())), [Word::Nobody]);
    }
}
