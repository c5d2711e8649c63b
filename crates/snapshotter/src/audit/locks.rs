//! R6 and R7: what `iceboxer prove-lock` found when it tried to break the locks and to delete: attempts on deletion are R7, all others R6.

use formats::records::audit::{Finding, Requirement, Verdict};
use serde_json::Value;

use super::ice::{IceSettings, Report};

/// Most attempts of one vault.
const ATTEMPTS_MAX: usize = 1000;

pub(super) fn judge(
    settings: &Result<Option<IceSettings>, String>,
    proved: &Result<Report, String>,
) -> (Finding, Finding) {
    let mut retention = Finding::new(Requirement::R6);
    let mut deletion = Finding::new(Requirement::R7);
    let both = |retention: &mut Finding, deletion: &mut Finding, text: &str| {
        retention.add(Verdict::Unknown, text);
        deletion.add(Verdict::Unknown, text);
    };
    let names: Vec<&str> = match settings {
        Ok(Some(settings)) => settings.vaults.iter().map(|vault| vault.name.as_str()).collect(),
        Ok(None) => {
            both(&mut retention, &mut deletion, "iceboxer has no settings here, so no vault was tried");
            return (retention, deletion);
        }
        Err(error) => {
            both(&mut retention, &mut deletion, error);
            return (retention, deletion);
        }
    };
    let report = match proved {
        Ok(report) => report,
        Err(error) => {
            both(&mut retention, &mut deletion, error);
            return (retention, deletion);
        }
    };
    let told = report.detail("/vaults").and_then(Value::as_array);
    for name in names {
        let vault =
            told.into_iter().flatten().find(|vault| vault.get("vault").and_then(Value::as_str) == Some(name));
        match vault {
            Some(vault) => one(&mut retention, &mut deletion, name, vault),
            None => both(
                &mut retention,
                &mut deletion,
                &format!("vault {name} was not proved: {}", report.error()),
            ),
        }
    }
    (retention, deletion)
}

fn one(retention: &mut Finding, deletion: &mut Finding, name: &str, vault: &Value) {
    let probes = vault.get("probes").and_then(Value::as_array).into_iter().flatten().take(ATTEMPTS_MAX);
    let mut counts = [0usize; 2];
    let mut doubts: [Option<String>; 2] = [None, None];
    for probe in probes {
        let text = |key: &str| probe.get(key).and_then(Value::as_str).unwrap_or_default();
        let call = cli::shown(text("call").as_bytes());
        let of_deletion = is_deletion(&call);
        let index = usize::from(of_deletion);
        if let Some(count) = counts.get_mut(index) {
            *count += 1;
        }
        let words = || format!("vault {name}: {call}: {}", cli::shown(text("text").as_bytes()));
        match verdict(text("outcome")) {
            Verdict::Pass => {}
            Verdict::Fail if of_deletion => deletion.add(Verdict::Fail, words()),
            Verdict::Fail => retention.add(Verdict::Fail, words()),
            Verdict::Unknown => {
                if let Some(doubt) = doubts.get_mut(index) {
                    let _ = doubt.get_or_insert_with(words);
                }
            }
        }
    }
    let [kept, deleted] = counts;
    let [kept_doubt, deleted_doubt] = doubts;
    for (finding, count, doubt, what) in [
        (retention, kept, kept_doubt, "attempts to change its locks or settings"),
        (deletion, deleted, deleted_doubt, "attempts to delete"),
    ] {
        match doubt {
            Some(doubt) => finding.add(Verdict::Unknown, doubt),
            None if count == 0 => finding.add(Verdict::Unknown, format!("vault {name}: no {what} were made")),
            None => finding.add(Verdict::Pass, format!("vault {name}: {count} {what} were made")),
        }
    }
}

/// In the words of every kind of store. Settings and tags that are deleted are not ice.
fn is_deletion(call: &str) -> bool {
    const DELETIONS: [&str; 9] = [
        "DeleteObject",
        "DeleteObjects",
        "DeleteBucket",
        "DeleteVault",
        "DeleteArchive",
        "objects.delete",
        "buckets.delete",
        "storage.objects.delete",
        "storage.buckets.delete",
    ];
    let name = call.split(',').next().unwrap_or(call);
    DELETIONS.contains(&name) || name.starts_with("remove ")
}

fn verdict(outcome: &str) -> Verdict {
    match outcome {
        "refused" | "shadowed" | "held" | "not-applicable" => Verdict::Pass,
        "permitted" | "done" => Verdict::Fail,
        _ => Verdict::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::ice::VaultSettings;
    use serde_json::json;

    fn judged(probes: &Value) -> (Verdict, Verdict) {
        let vault =
            VaultSettings { name: "v".to_owned(), url: "s3:b".to_owned(), retention_days: 92, prices: None };
        let settings = Ok(Some(IceSettings { vaults: vec![vault], ..IceSettings::default() }));
        let value = json!({ "details": { "vaults": [{ "vault": "v", "probes": probes }] } });
        let (six, seven) = judge(&settings, &Ok(Report { code: 0, value }));
        (six.verdict, seven.verdict)
    }

    fn probe(call: &str, outcome: &str) -> Value {
        json!({ "call": call, "outcome": outcome, "text": "" })
    }

    #[test]
    fn each_attempt_speaks_for_its_own_requirement() {
        use Verdict::{Fail, Pass, Unknown};
        let (lock, delete) = ("PutObjectRetention, an hour shorter", "DeleteObject, the version");
        for (of_lock, of_delete, expected) in [
            ("refused", "refused", (Pass, Pass)),
            ("done", "refused", (Fail, Pass)),
            ("refused", "permitted", (Pass, Fail)),
            ("shadowed", "held", (Pass, Pass)),
            ("unclear", "refused", (Unknown, Pass)),
            ("refused", "by-agreement", (Pass, Unknown)),
            ("done", "something new", (Fail, Unknown)),
        ] {
            assert_eq!(judged(&json!([probe(lock, of_lock), probe(delete, of_delete)])), expected);
        }
        assert_eq!(
            judged(&json!([probe("remove the object", "done"), probe(lock, "refused")])),
            (Pass, Fail)
        );
        assert_eq!(
            judged(&json!([probe("DeleteBucketLifecycle", "done"), probe(delete, "refused")])),
            (Fail, Pass)
        );
        assert_eq!(judged(&json!([])), (Unknown, Unknown));
    }

    #[test]
    fn a_vault_that_no_report_names_is_unknown() {
        let vault =
            VaultSettings { name: "v".to_owned(), url: "s3:b".to_owned(), retention_days: 92, prices: None };
        let settings = Ok(Some(IceSettings { vaults: vec![vault], ..IceSettings::default() }));
        let value = json!({ "details": {}, "error": { "text": "no answer" } });
        let (six, seven) = judge(&settings, &Ok(Report { code: 30, value }));
        assert_eq!((six.verdict, seven.verdict), (Verdict::Unknown, Verdict::Unknown));
    }
}
