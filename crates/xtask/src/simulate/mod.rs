//! `cargo xtask simulate`: what the schedule does to a backup server, for fleets of 30 to 100,000 hosts.
//!
//! Host names get their minutes from the function that the programs use. Costs are those that `--measure` measures, on a server of assumed
//! size; the hosts' sizes are assumed too. No chance is involved: the same call prints the same text, and docs/scaling.md holds it.

mod costs;
mod figures;
mod fleet;
mod measure;
mod names;
mod plan;
mod print;
mod server;
mod station;

use std::process::ExitCode;

use crate::args::SimulateArgs;
use crate::trouble::Result;
use costs::Costs;
use figures::Figures;
use plan::Plan;
use server::Server;

/// Sizes of fleets, unless others are asked for.
const FLEETS: [u32; 6] = [30, 300, 3_000, 10_000, 30_000, 100_000];

pub(crate) fn run(args: &SimulateArgs) -> Result<ExitCode> {
    let costs = if args.measure { measure::measure()? } else { Costs::DOCUMENTED };
    let fleets = if args.hosts.is_empty() { FLEETS.to_vec() } else { args.hosts.clone() };
    let server = Server::of_cores(args.cores);
    let spreads = names::spreads(&fleets);
    let results = simulate(&fleets, &server, &costs);
    print!("{}", print::text(&costs, &server, &spreads, &results));
    if let Some(file) = &args.json {
        std::fs::write(file, print::json(&costs, &server, &spreads, &results)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Every plan for every fleet.
fn simulate(fleets: &[u32], server: &Server, costs: &Costs) -> Vec<(Plan, Vec<Figures>)> {
    let of_plan = |plan: Plan| {
        let figures = fleets.iter().map(|hosts| {
            let fleet = fleet::Fleet::new(*hosts, &plan, costs);
            Figures::new(&fleet, &server::run(&fleet, server, &plan, costs), server)
        });
        let figures = figures.collect();
        (plan, figures)
    };
    Plan::ALL.into_iter().map(of_plan).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeline_tests::machine::workspace;

    /// What docs/scaling.md shows between two marks.
    fn shown() -> String {
        let text = std::fs::read_to_string(workspace().join("docs/scaling.md")).unwrap();
        let from = text.split("<!-- simulate:begin -->\n```\n").nth(1).unwrap();
        from.split("```\n<!-- simulate:end -->").next().unwrap().to_owned()
    }

    #[test]
    fn the_tables_of_the_document_are_what_the_simulation_prints() {
        let (server, costs) = (Server::of_cores(8), Costs::DOCUMENTED);
        let results = simulate(&FLEETS, &server, &costs);
        let printed = print::text(&costs, &server, &names::spreads(&FLEETS), &results);
        assert!(
            shown() == printed,
            "put into docs/scaling.md, between its marks, what `cargo xtask simulate` prints"
        );
    }

    #[test]
    fn every_host_is_accepted_or_counted_as_missed() {
        let server = Server::of_cores(4);
        for (plan, rows) in simulate(&[30, 3_000], &server, &Costs::DOCUMENTED) {
            for row in rows {
                assert_eq!(row.accepted + row.missed, row.hosts, "{}", plan.name);
                assert!(row.busy_permille <= 1000, "{}: {}", plan.name, row.busy_permille);
            }
        }
    }

    /// What docs/scaling.md says of an sshd that is left as it comes.
    #[test]
    fn an_sshd_with_its_own_default_turns_hosts_away_long_before() {
        let startups = server::Startups { begin: 10, percent: 30, full: 100 };
        let stock = Server { startups, ..Server::of_cores(8) };
        let results = simulate(&[300, 3_000, 10_000], &stock, &Costs::DOCUMENTED);
        let (_, rows) = results.first().unwrap();
        assert_eq!(rows.iter().map(|row| row.turned_away).collect::<Vec<_>>(), [0, 0, 3_740]);
    }

    #[test]
    fn spreading_makes_peaks_smaller_and_trying_again_misses_few() {
        let server = Server::of_cores(8);
        let results = simulate(&[30_000], &server, &Costs::DOCUMENTED);
        let row = |name: &str| {
            let found = results.iter().find(|(plan, _)| plan.name == name);
            found.and_then(|(_, rows)| rows.first()).unwrap().clone()
        };
        assert!(row("minutes").missed > 3_000, "the control: without a second try many are missed");
        assert!(row("minutes-again").missed < 20);
        assert_eq!(row("seconds").turned_away, 0);
        assert!(row("seconds").sessions_peak < row("minutes-again").sessions_peak);
        assert!(row("day").queue_peak < row("seconds").queue_peak);
    }
}
