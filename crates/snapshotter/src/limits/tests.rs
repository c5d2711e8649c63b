use super::*;

fn changed(changes: &[&str]) -> TypedLimits {
    let mut typed = TypedLimits::default();
    changes.iter().for_each(|change| typed.change(&change.parse().unwrap()));
    typed
}

fn allowed(changes: &[&str]) -> Allowed {
    changed(changes).meant(Sandbox::Required)
}

#[test]
fn what_nobody_says_is_the_default_which_the_first_version_of_the_state_can_say() {
    let Allowed { limits, admission, .. } = allowed(&[]);
    assert_eq!((limits, admission), (Limits::default(), Admission::default()));
}

#[test]
fn a_record_goes_before_the_settings_key_by_key() {
    let settings = changed(&["push_bytes=5", "interval_seconds=60", "push_hours=1,2"]);
    let record = changed(&["interval_seconds=0", "push_hours=3", "soft_entries=9"]);
    let Allowed { limits, admission, .. } = record.or(&settings).meant(Sandbox::Required);
    assert_eq!((limits.push_bytes, admission.interval_seconds, admission.soft_entries), (5, 0, 9));
    assert_eq!(Some(admission.hours), OpenHours::of([3]));
}

#[test]
fn a_budget_warns_at_four_fifths_unless_it_says_when() {
    let soft = |changes: &[&str]| allowed(changes).admission.history_soft_bytes;
    assert_eq!(soft(&["history_bytes=1000"]), 800);
    assert_eq!(soft(&["history_bytes=1000", "history_soft_bytes=10"]), 10);
    assert_eq!(soft(&["history_bytes=0"]), 0);
    assert_eq!(soft(&[]), u64::MAX);
}

#[test]
fn a_text_that_is_read_again_says_the_same_and_nothing_said_is_no_text() {
    let typed =
        changed(&["history_bytes=1000", "push_hours=0,22,23", "emergency_pushes=16", "queued_pushes=1"]);
    let text = typed.text();
    assert_eq!(
        text,
        "\n[limits]\nhistory_bytes = 1000\nqueued_pushes = 1\nemergency_pushes = 16\npush_hours = [0, 22, 23]\n"
    );
    let json = serde_json::json!({
        "history_bytes": 1000, "queued_pushes": 1, "emergency_pushes": 16, "push_hours": [0, 22, 23]
    });
    assert_eq!(typed.json(), json);
    assert_eq!(TypedLimits::default().text(), "");
    let mut emptied = typed;
    for key in ["history_bytes", "push_hours", "emergency_pushes", "queued_pushes"] {
        emptied.change(&format!("{key}=").parse().unwrap());
    }
    assert_eq!(emptied, TypedLimits::default());
}

#[test]
fn every_number_is_a_key_of_its_own() {
    for number in NUMBERS.iter().filter(|number| number.is_of_host) {
        let typed = changed(&[&format!("{}=7", number.key())]);
        assert_eq!(typed.text(), format!("\n[limits]\n{} = 7\n", number.key()));
    }
}

#[test]
fn what_is_no_limit_of_a_host_is_refused() {
    for bad in [
        "",
        "=",
        "push_bytes",
        "=5",
        "push_bytes=-1",
        "push_bytes=+1",
        "push_bytes=1.5",
        "push_bytes=007",
        "push_bytes= 1",
        "push_bytes=1_000",
        "push_bytes=9223372036854775808",
        "push_bytes=99999999999999999999",
        "queued_pushes=0",
        "interval_seconds=4294967296",
        "emergency_pushes=17",
        "free_bytes=1",
        "decoder_memory_bytes=1",
        "sandbox=required",
        "push_hours=24",
        "push_hours=1,1",
        "push_hours=2,1",
        "push_hours=1,,2",
        "push_hours=1-3",
        "push_hours=all",
        "PUSH_BYTES=1",
        "push_bytes\n=1",
    ] {
        assert!(bad.parse::<LimitChange>().is_err(), "{bad:?}");
    }
}

#[test]
fn values_that_no_state_can_say_are_refused_by_name() {
    let path = Path::new("/etc/firn/hosts/web01.toml");
    let check = |typed: &TypedLimits, place| typed.check(path, place).map_err(|error| error.to_string());
    let wrong = |typed: TypedLimits, place, says: &str| {
        let error = check(&typed, place).unwrap_err();
        assert!(error.contains(says), "{error}");
    };
    let none = TypedLimits::default;
    wrong(TypedLimits { free_bytes: Some(1), ..none() }, Place::Record, "server's");
    wrong(TypedLimits { queued_pushes: Some(0), ..none() }, Place::Settings, "queued_pushes");
    wrong(TypedLimits { emergency_pushes: Some(17), ..none() }, Place::Settings, "emergency_pushes");
    wrong(TypedLimits { idle_seconds: Some(1 << 32), ..none() }, Place::Record, "idle_seconds");
    for hours in [vec![], vec![24], vec![2, 1], vec![1, 1]] {
        wrong(TypedLimits { push_hours: Some(hours), ..none() }, Place::Record, "push_hours");
    }
    wrong(
        TypedLimits { soft_bytes: Some(2), expanded_bytes: Some(1), ..none() },
        Place::Record,
        "soft_bytes",
    );
    assert_eq!(check(&TypedLimits { free_bytes: Some(1), ..none() }, Place::Settings), Ok(()));
    assert_eq!(check(&none(), Place::Record), Ok(()));
}

#[test]
fn the_document_and_the_deployment_know_every_limit_of_a_host() {
    let read =
        |name: &str| std::fs::read_to_string(format!("{}/../../{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let (document, salt) = (read("docs/formats/host-record.md"), read("salt/_modules/firn.py"));
    let keys = NUMBERS.iter().filter(|number| number.is_of_host).map(Number::key);
    for key in keys.chain([HOURS_KEY]) {
        assert!(document.contains(&format!("`{key}`")), "the document has no {key}");
        assert!(salt.contains(&format!("\"{key}\"")), "Salt has no {key}");
    }
}
