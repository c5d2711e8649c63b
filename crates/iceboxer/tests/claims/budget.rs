//! The program stops before it costs too much; its settings refuse what cannot be counted.

use std::fs;
use std::process::{Command, Output};

use cli::Exit;
use iceboxer::cost::budget::{Budget, OverBudget};
use iceboxer::ledger::LedgerState;
use iceboxer::plan::Plan;
use iceboxer::settings::Settings;

use crate::cost::{GIB, write_ledger};
use crate::kept::{later, later_for_good};
use crate::locks::{drilled, tree};
use crate::redacted;
use crate::rig::{Scratch, Spec, Tree, everything, meta, noise, output, run};

const STORAGE: &str = "storage_per_gb_month = \"1000.00\"\nput_per_1000 = \"0\"";
const PUTS: &str = "storage_per_gb_month = \"0\"\nput_per_1000 = \"1000.00\"";
const BUDGET: &str = "[budget]\nmonthly = \"3.00\"";

/// A `file:` vault that charges: `class` is what its class costs.
fn settings(scratch: &Scratch, fingerprint: &str, top: &str, vault: &str, class: &str, more: &str) -> String {
    let at = |name| scratch.path(name).display().to_string();
    let text = format!(
        r#"history = "{}"
staging = "{}"
ledger = "{}"
segment_bytes = 65536
{top}
[[recipients]]
certificate = "{}"
fingerprint = "{fingerprint}"
[[vaults]]
name = "local"
url = "file:{}"
immutable = "never"
{vault}
[prices.test]
date = "2026-01-02"
currency = "EUR"
egress_per_gb = "0.10"
[prices.test.classes.STANDARD]
{class}
[prices.test.classes.STANDARD.retrieval.standard]
per_gb = "0.01"
{more}
"#,
        at("history"),
        at("staging"),
        at("ledger"),
        at("one.asc"),
        at("vault"),
    );
    let file = scratch.path("ice.toml");
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

const PRICED: &str = "retention_days = 92\nprices = \"test\"";

fn iceboxer(args: &[&str]) -> Output {
    output(Command::new(env!("CARGO_BIN_EXE_iceboxer")).args(args))
}

fn report(output: &Output) -> serde_json::Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn above_the_budget_nothing_is_put_unless_it_is_said() {
    let scratch = Scratch::new();
    let recipient = scratch.recipient("one");
    let print = recipient.fingerprint().as_str();
    scratch.snapshot("web01", &everything());
    let config = settings(&scratch, print, "", PRICED, PUTS, BUDGET);
    let stopped = iceboxer(&["run", "--json", "--config", &config]);
    assert_eq!(stopped.status.code(), Some(38), "{}", errors(&stopped));
    let text = report(&stopped)["error"]["text"].as_str().unwrap().to_owned();
    assert!(text.contains("the budget is 3.00 EUR") && text.contains("nothing of it is put"), "{text}");
    assert!(scratch.objects().is_empty());
    assert!(LedgerState::read(&scratch.path("ledger")).unwrap().entries().is_empty());
    let allowed = iceboxer(&["run", "--over-budget", "--json", "--config", &config]);
    assert_eq!(allowed.status.code(), Some(0), "{}", errors(&allowed));
    assert!(errors(&allowed).contains("--over-budget was given"), "{}", errors(&allowed));
    assert!(scratch.objects().len() > 3);
    // Nothing to put costs nothing more: the budget is not asked.
    assert_eq!(iceboxer(&["run", "--config", &config]).status.code(), Some(0));
}

#[test]
fn what_a_redaction_has_made_anew_is_counted_before_it_is_made() {
    let scratch = Scratch::new();
    let recipient = scratch.recipient("one");
    let name = scratch.snapshot("web01", &redacted::tree());
    let config = settings(&scratch, recipient.fingerprint().as_str(), "", PRICED, PUTS, BUDGET);
    assert_eq!(iceboxer(&["run", "--over-budget", "--config", &config]).status.code(), Some(0));
    redacted::redact(&scratch);
    redacted::fill(&scratch, &name, "a", 0);
    redacted::fill(&scratch, &name, "c", 0);
    let stopped = iceboxer(&["run", "--config", &config]);
    assert_eq!(stopped.status.code(), Some(38), "{}", errors(&stopped));
    assert!(errors(&stopped).contains("this run would bring"), "{}", errors(&stopped));
}

#[test]
fn a_budget_that_is_large_enough_stops_nothing() {
    let scratch = Scratch::new();
    let recipient = scratch.recipient("one");
    scratch.snapshot("web01", &everything());
    let more = BUDGET.replace("3.00", "1000.00");
    let config = settings(&scratch, recipient.fingerprint().as_str(), "", PRICED, PUTS, &more);
    assert_eq!(iceboxer(&["run", "--config", &config]).status.code(), Some(0));
    assert!(!scratch.objects().is_empty());
}

#[test]
fn a_host_that_grew_is_stopped_and_the_others_are_served() {
    let scratch = Scratch::new();
    let recipient = scratch.recipient("one");
    let config = settings(&scratch, recipient.fingerprint().as_str(), "", PRICED, STORAGE, BUDGET);
    let small = |text: &str| -> Tree { vec![(b"a", Spec::File(text.into()), meta(0o644, 0, 1))] };
    scratch.snapshot("aaa", &small("one"));
    scratch.snapshot("bbb", &small("one"));
    assert_eq!(iceboxer(&["run", "--config", &config]).status.code(), Some(0));
    // 6 MB cost 5.6 a month; the last ice of this host was far below.
    let big = scratch.snapshot("aaa", &vec![(b"a", Spec::File(noise(6_000_000, 1)), meta(0o644, 0, 1))]);
    let good = scratch.snapshot("bbb", &small("two"));
    let stopped = iceboxer(&["run", "--config", &config]);
    assert_eq!(stopped.status.code(), Some(38), "{}", errors(&stopped));
    assert!(errors(&stopped).contains("the image of aaa"), "{}", errors(&stopped));
    assert!(!scratch.objects().iter().any(|object| object.starts_with(&format!("aaa/{big}/"))));
    scratch.record(&format!("bbb/{good}"));
    // It does not stand in the way of what comes after it.
    assert!(scratch.is_staging_empty("aaa"));
    let again = scratch.snapshot("aaa", &small("three"));
    assert_eq!(iceboxer(&["run", "--config", &config]).status.code(), Some(0));
    scratch.record(&format!("aaa/{again}"));
}

#[test]
fn a_host_whose_content_lies_there_already_is_not_counted_twice() {
    for unchanged in ["seal", "extend"] {
        let scratch = Scratch::new();
        let recipient = scratch.recipient("one");
        let top = format!("unchanged = {unchanged:?}");
        let more = BUDGET.replace("3.00", "6.00");
        let config = settings(&scratch, recipient.fingerprint().as_str(), &top, PRICED, STORAGE, &more);
        // 4 MB cost 3.7 a month: once is within the budget, twice is not.
        let tree: Tree = vec![(b"a", Spec::File(noise(4_000_000, 1)), meta(0o644, 0, 1))];
        for _ in 0..2 {
            scratch.snapshot("web01", &tree);
            let ran = iceboxer(&["run", "--config", &config]);
            assert_eq!(ran.status.code(), Some(0), "{unchanged}: {}", errors(&ran));
        }
        // The control.
        scratch.snapshot("web01", &vec![(b"a", Spec::File(noise(4_000_000, 2)), meta(0o644, 0, 1))]);
        assert_eq!(iceboxer(&["run", "--config", &config]).status.code(), Some(38), "{unchanged}");
    }
}

#[test]
fn what_is_too_old_to_be_used_again_is_counted() {
    let scratch = Scratch::new();
    let recipient = scratch.recipient("one");
    let more = BUDGET.replace("3.00", "6.00");
    let config = settings(&scratch, recipient.fingerprint().as_str(), "", PRICED, STORAGE, &more);
    let plan = |target| Plan {
        budget: Budget::of(&Settings::load(config.as_ref()).unwrap(), OverBudget::Stop),
        segment_bytes: 65_536,
        ..scratch.plan(std::slice::from_ref(&recipient), vec![target])
    };
    let large: Tree = vec![(b"a", Spec::File(noise(4_000_000, 1)), meta(0o644, 0, 1))];
    for tree in [&large, &tree("small")] {
        scratch.snapshot("web01", tree);
        run(Plan { budget: Budget::unlimited(), ..plan(scratch.target()) }).unwrap();
    }
    // A month later: the first ice is locked for two more, and what is new is to be locked for three.
    scratch.snapshot("web01", &large);
    let stopped = run(plan(later_for_good(&scratch, 30))).unwrap_err();
    assert_eq!(stopped.exit(), Exit::TOO_COSTLY, "{}", stopped.chain());
    assert!(stopped.chain().contains("the image of web01"), "{}", stopped.chain());
    // The control: where the locks can be extended, it is used again, and costs nothing more.
    assert_eq!(run(plan(later(&scratch, 30))).unwrap(), Exit::WHOLE);
}

#[test]
fn a_run_that_the_budget_stops_has_kept_its_locks_and_tells_first_what_failed_before() {
    let scratch = Scratch::new();
    let recipient = scratch.recipient("one");
    let name = scratch.snapshot("web01", &everything());
    let top = format!("drill_records = {:?}", scratch.path("drills"));
    let config = |more: &str| settings(&scratch, recipient.fingerprint().as_str(), &top, PRICED, PUTS, more);
    fs::create_dir(scratch.path("drills")).unwrap();
    assert_eq!(iceboxer(&["run", "--config", &config("")]).status.code(), Some(0));
    let ice = format!("web01/{name}");
    drilled(&scratch, &ice, 0, "2026-03-01T00:00:00Z");
    scratch.snapshot("web01", &vec![(b"a", Spec::File(noise(2_000_000, 2)), meta(0o644, 0, 1))]);
    let stopped = iceboxer(&["run", "--config", &config(BUDGET)]);
    assert_eq!(stopped.status.code(), Some(38), "{}", errors(&stopped));
    fs::remove_file(scratch.path(&format!("vault/locks/ice/{ice}/0001.pgp.json"))).unwrap();
    let stopped = iceboxer(&["run", "--config", &config(BUDGET)]);
    assert_eq!(stopped.status.code(), Some(32), "{}", errors(&stopped));
    assert!(errors(&stopped).contains("the budget is 3.00 EUR"), "{}", errors(&stopped));
}

#[test]
fn the_forecast_is_a_table_for_people_and_numbers_for_machines() {
    let scratch = Scratch::new();
    let class = "storage_per_gb_month = \"0.01\"\nput_per_1000 = \"0.05\"\nminimum_days = 100";
    let more = "[budget]\nmonthly = \"3.00\"\n[cost]\nruns_per_month = 1";
    let config = settings(&scratch, &"AB".repeat(20), "", PRICED, class, more);
    write_ledger(&scratch.path("ledger"), &[("local", "1", 10, 92, 100 * GIB)]);
    let output = iceboxer(&["cost", "--months", "4", "--json", "--config", &config]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let details = &report(&output)["details"];
    let vault = &details["vaults"][0];
    // 100 GB at 0.01 are 1.00, and catalogue and record make it a millionth more. The next runs begin on days 30, 60, 90.
    let months: Vec<_> = vault["months"].as_array().unwrap().iter().map(|m| &m["total_micros"]).collect();
    assert_eq!(months, [1_000_001, 2_000_151, 3_000_151, 4_000_151]);
    // 90 of 100 days are left.
    assert_eq!(vault["early_deletion_micros"], 3_000_001);
    assert_eq!(vault["restore"][0]["total_micros"], 1_000_001 + 10_000_001);
    assert_eq!((&vault["prices_date"], &vault["verify_before_use"]), (&"2026-01-02".into(), &true.into()));
    assert!(vault["prices_age_days"].as_i64().unwrap() > 180);
    assert_eq!(details["budget"]["passed_in_month"], 3);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    for words in
        ["prices of 2026-01-02", "verify before use", "REQUESTS", "1.01", "passed in month 3", "none"]
    {
        assert!(text.contains(words), "{words} in {text}");
    }
    assert!(errors(&output).contains("days old"), "old prices are warned of");
    assert!(!scratch.path("staging").exists());
}

#[test]
fn a_vault_without_prices_is_named_and_counted_as_nothing() {
    let scratch = Scratch::new();
    let config = settings(&scratch, &"AB".repeat(20), "", "retention_days = 92", STORAGE, "");
    let output = iceboxer(&["cost", "--json", "--config", &config]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("vault local: names no price table"));
    assert_eq!(report(&output)["details"]["vaults"].as_array().unwrap().len(), 0);
}

#[test]
fn money_that_cannot_be_meant_and_locks_beyond_the_cap_are_refused() {
    let scratch = Scratch::new();
    let print = "AB".repeat(20);
    let usd = "[budget]\nmonthly = \"3.00\"\ncurrency = \"USD\"";
    let other = "[[vaults]]\nname = \"two\"\nurl = \"file:/v\"\nretention_days = 92\nprices = \"gcs-us-central1\"\n[budget]\nmonthly = \"1\"";
    for (top, vault, class, more, word) in [
        ("", PRICED, STORAGE, "[budget]\nmonthly = 3.0", "budget.monthly"),
        ("", PRICED, STORAGE, "[budget]\nmonthly = \"-3\"", "not an amount"),
        ("", PRICED, STORAGE, "[budget]\nyearly = \"3\"", "yearly"),
        ("", PRICED, STORAGE, usd, "EUR, USD"),
        ("", PRICED, STORAGE, other, "EUR, USD"),
        ("", "retention_days = 92", STORAGE, BUDGET, "`budget` needs"),
        ("", &PRICED.replace("test", "tset"), STORAGE, "", "aws-us-east-1, gcs-us-central1, test"),
        ("", PRICED, "put_per_1000 = \"0\"", "", "storage_per_gb_month"),
        ("", PRICED, &STORAGE.replace("1000.00", "0.0000001"), "", "not an amount"),
        ("", PRICED, STORAGE, "[cost]\nruns_per_month = 0", "cost.runs_per_month"),
        ("", "retention_days = 801", STORAGE, "", "retention_days_max"),
        ("retention_days_max = 800", "retention_days = 801", STORAGE, "", "must be 92 to 800"),
        ("retention_days_max = 4000", "retention_days = 92", STORAGE, "", "`retention_days_max` must be"),
    ] {
        let config = settings(&scratch, &print, top, vault, class, more);
        let output = iceboxer(&["cost", "--config", &config]);
        assert_eq!(output.status.code(), Some(2), "{word}: {}", errors(&output));
        assert!(errors(&output).contains(word), "{word}: {}", errors(&output));
    }
    // The positive control: a cap that is raised on purpose.
    let config = settings(&scratch, &print, "retention_days_max = 900", "retention_days = 801", STORAGE, "");
    assert_eq!(iceboxer(&["cost", "--config", &config]).status.code(), Some(0));
}
