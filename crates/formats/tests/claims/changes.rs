//! Changes: diff and apply are inverse, and no other list is accepted.

use std::collections::BTreeMap;

use formats::change::{Applied, ChangeError, apply, diff};
use formats::cursor::Cursor;
use formats::{Change, Entry};
use proptest::prelude::*;

use crate::samples::*;

fn ok(entries: &[Entry]) -> impl Iterator<Item = Result<Entry, ()>> {
    entries.iter().cloned().map(Ok)
}

fn changes(base: &[Entry], new: &[Entry]) -> Vec<Change> {
    diff(ok(base), ok(new)).collect::<Result<_, _>>().unwrap()
}

fn applied(base: &[Entry], list: Vec<Change>) -> Result<Vec<Entry>, ChangeError<()>> {
    let steps = apply(ok(base), list.into_iter().map(Ok));
    steps.filter_map(|step| step.map(|applied| applied.entry().cloned()).transpose()).collect()
}

#[test]
fn equal_states_differ_by_nothing() {
    assert_eq!(changes(&everything(), &everything()), []);
}

#[test]
fn a_put_knows_what_it_replaces_and_a_remove_what_it_takes_away() {
    let (old, new) = ([file("a", b"1"), file("aa", b"4")], [file("a", b"2"), file("b", b"3")]);
    let steps: Vec<Applied> =
        apply(ok(&old), changes(&old, &new).into_iter().map(Ok)).map(Result::unwrap).collect();
    assert_eq!(
        steps,
        [
            Applied::Put { entry: file("a", b"2"), before: Some(file("a", b"1")) },
            Applied::Removed(file("aa", b"4")),
            Applied::Put { entry: file("b", b"3"), before: None },
        ]
    );
}

#[test]
fn lists_that_diff_would_not_make_are_refused() {
    let base = [file("a", b"1"), file("b", b"2")];
    let cases: Vec<(&str, Vec<Change>)> = vec![
        ("put of what is there", vec![Change::Put(file("a", b"1"))]),
        ("remove of nothing", vec![Change::Remove(path("c"))]),
        ("remove twice", vec![Change::Remove(path("a")), Change::Remove(path("a"))]),
        ("put twice", vec![Change::Put(file("c", b"1")), Change::Put(file("c", b"2"))]),
        ("not ascending", vec![Change::Put(file("d", b"1")), Change::Put(file("c", b"2"))]),
        ("put after remove", vec![Change::Remove(path("a")), Change::Put(file("a", b"9"))]),
    ];
    for (name, list) in cases {
        assert!(applied(&base, list).is_err(), "{name}");
    }
}

#[test]
fn an_error_of_a_stream_ends_the_result_with_that_error() {
    let broken = vec![Ok(file("a", b"1")), Err(())];
    let steps: Vec<_> = apply(broken.into_iter(), std::iter::empty()).collect();
    assert!(matches!(steps.last(), Some(Err(ChangeError::Stream(())))));
    let broken = vec![Ok(file("a", b"1")), Err(())];
    assert!(diff(broken.into_iter(), std::iter::empty()).any(|step| step.is_err()));
}

#[test]
fn a_change_is_read_as_it_was_written() {
    let list = [Change::Put(file("a", b"1")), Change::Remove(path("b/c")), Change::Put(link("d", "a"))];
    let mut bytes = Vec::new();
    for change in &list {
        change.encode(&mut bytes).unwrap();
    }
    let mut from = Cursor::new(&bytes);
    for change in &list {
        assert_eq!(&Change::decode(&mut from).unwrap(), change);
    }
    assert!(from.is_empty());
}

fn any_state() -> impl Strategy<Value = Vec<Entry>> {
    proptest::collection::btree_map("[a-f]{1,2}", 0u8..4, 0..12).prop_map(|state: BTreeMap<String, u8>| {
        let mut entries: Vec<Entry> = state.iter().map(|(name, content)| file(name, &[*content])).collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        entries
    })
}

proptest! {
    #[test]
    fn applying_the_difference_gives_the_new_state(base in any_state(), new in any_state()) {
        let list = changes(&base, &new);
        prop_assert_eq!(applied(&base, list).unwrap(), new);
    }
}
