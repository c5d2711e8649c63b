//! The Salt formula: its Python judged alone, and a fleet deployed by a real Salt, looked at from all sides.

/// How a fleet is deployed.
mod deploy;
/// What must be true of it afterwards.
mod expected;
/// Words of hostile minions, on a real Mine.
mod hostile;
/// The Python of the formula without Salt.
mod python;
/// What a master serves.
pub(crate) mod srv;
/// Names on systems that no machine here has: rendered, not run.
mod systems;
/// The lists of units and files.
mod table;
/// One Salt, two backup servers.
mod two_servers;

use crate::rig;

#[test]
#[ignore = "long: minutes on five machines with Salt"]
fn salt_deploys_a_fleet_that_is_as_it_should_be_and_believes_no_minion() {
    if !rig::has_fleet_or_skipped("salt_deploys_a_fleet_that_is_as_it_should_be_and_believes_no_minion") {
        return;
    }
    let _turn = rig::turn();
    let world = deploy::deployed();
    expected::holds(&world);
    deploy::a_second_run_changes_nothing(&world);
    deploy::credentials_that_the_pillar_no_longer_names_are_gone(&world);
    deploy::a_minion_without_an_account_fails_the_deployment(&world);
    hostile::no_word_of_a_minion_changes_anything(&world);
    hostile::a_master_on_the_backup_server_is_refused(&world);
    deploy::a_key_is_changed_for_a_new_one(&world);
    deploy::a_change_of_keys_that_was_cut_off_comes_to_its_end(&world);
    deploy::the_servers_key_is_changed_for_a_new_one(&world);
    deploy::a_retired_host_is_locked_out_for_good(&world);
    systems::names_are_those_of_each_system(&world);
}

#[test]
#[ignore = "long: minutes on five machines with Salt"]
fn hosts_are_spread_over_two_servers_by_salt_and_can_move() {
    if !rig::has_fleet_or_skipped("hosts_are_spread_over_two_servers_by_salt_and_can_move") {
        return;
    }
    let _turn = rig::turn();
    let world = two_servers::deployed();
    two_servers::each_host_is_with_its_own(&world);
    two_servers::a_host_moves(&world);
}
