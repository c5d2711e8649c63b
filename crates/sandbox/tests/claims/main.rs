//! What crate sandbox promises, each promise a test. Each runs this binary again as a prisoner, which confines itself and
//! then attempts something; and once more without the confinement, which must succeed, or the test proves nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod attempts;
mod capabilities;
mod escape;
mod family;
mod files;
mod harness;
mod kernel;
mod limits;
mod prisoner;
mod program;
mod raw;
mod work;
mod world;

use harness::Claim;

const CLAIMS: &[Claim] = &[
    ("every_attempt_is_refused_and_succeeds_when_free", escape::every_attempt),
    ("every_raw_attempt_is_refused_and_not_when_free", raw::every_attempt),
    ("each_profile_can_do_its_work", work::each_profile),
    ("threads_start_only_where_asked_for_and_processes_never", work::threads),
    ("a_panic_is_caught_and_an_abort_ends_the_process", work::panic_and_abort),
    ("a_second_thread_prevents_confinement", kernel::second_thread),
    ("without_landlock_it_refuses_unless_told_otherwise", kernel::without_landlock),
    ("the_kernel_confirms_what_is_in_force", kernel::status),
    ("nothing_is_given_up_before_apply", kernel::before_apply),
    ("capabilities_are_gone_for_good", capabilities::gone),
    ("reading_everything_is_all_that_can_be_kept", capabilities::read_search),
    ("trusted_attributes_are_seen_only_by_who_keeps_the_capability_for_it", capabilities::trusted),
    ("limits_hold_and_are_never_raised", limits::hold),
    ("a_child_can_be_waited_for_and_killed_but_no_other", family::child),
    ("a_program_keeps_its_network_and_what_it_was_shown_and_no_power", program::bound),
    ("a_child_ends_with_its_confined_parent", family::dies_with_parent),
];

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == "prisoner" => prisoner::run(rest),
        _ => harness::run(CLAIMS, &arguments),
    }
}
