//! The result as text and as JSON.

use serde_json::json;

use super::costs::Costs;
use super::figures::Figures;
use super::names::Spread;
use super::plan::Plan;
use super::server::Server;
use crate::table::{grouped, table};
use crate::trouble::Result;

/// All of it, for people and for docs/scaling.md.
pub(crate) fn text(
    costs: &Costs,
    server: &Server,
    spreads: &[Spread],
    results: &[(Plan, Vec<Figures>)],
) -> String {
    let mut text = premises(costs, server);
    text.push_str("\nhosts in a minute, by the form of their names\n");
    text.push_str(&spread_table(spreads));
    for (plan, rows) in results {
        text.push_str(&format!("\n{}: {}\n{}", plan.name, plan.words, plan_table(rows)));
    }
    text
}

fn premises(costs: &Costs, server: &Server) -> String {
    let milliseconds = |us: u64| format!("{:.1} ms", us as f64 / 1000.0);
    format!(
        "server: {} cores, 10 Gbit/s, {} pushes received at full speed, MaxStartups {}:{}:{}\n\
         costs: a session {}, a megabyte {}, judging {} and {} for 1,000 entries, {} for 1,000 new ones\n",
        server.cores,
        server.streams(costs),
        server.startups.begin,
        server.startups.percent,
        server.startups.full,
        milliseconds(costs.session_us),
        milliseconds(costs.receive_us_per_mb),
        milliseconds(costs.judge_us),
        milliseconds(costs.judge_us_per_1000),
        milliseconds(costs.judge_whole_us_per_1000),
    )
}

fn spread_table(spreads: &[Spread]) -> String {
    let cells = |spread: &Spread| {
        let mean = f64::from(spread.hosts) / 60.0;
        vec![
            spread.style.to_owned(),
            grouped(u64::from(spread.hosts)),
            format!("{mean:.1}"),
            grouped(spread.least),
            grouped(spread.most),
            format!("{:.2}", spread.most as f64 / mean),
            format!("{:.0}", spread.chi_square),
        ]
    };
    let rows: Vec<_> = spreads.iter().map(cells).collect();
    table(&["names", "hosts", "mean", "least", "most", "most/mean", "chi-square"], &rows, &[1, 2, 3, 4, 5, 6])
}

fn plan_table(rows: &[Figures]) -> String {
    let cells = |row: &Figures| {
        let minutes = row.per_minute.map(grouped).join("/");
        let [middle, late, last] = row.seconds.map(duration);
        vec![
            grouped(row.hosts),
            minutes,
            grouped(row.turned_away),
            grouped(row.sessions_peak),
            grouped(row.queue_peak),
            format!("{:.1} %", row.busy_permille as f64 / 10.0),
            middle,
            late,
            last,
            grouped(row.missed),
        ]
    };
    let rows: Vec<_> = rows.iter().map(cells).collect();
    let header =
        ["hosts", "a minute", "turned away", "sessions", "queue", "busy", "half", "99 %", "last", "missed"];
    table(&header, &rows, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
}

/// `42 s`, `3:07 min`, `1:02 h`.
fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{}:{:02} min", seconds / 60, seconds % 60),
        _ => format!("{}:{:02} h", seconds / 3600, seconds % 3600 / 60),
    }
}

pub(crate) fn json(
    costs: &Costs,
    server: &Server,
    spreads: &[Spread],
    results: &[(Plan, Vec<Figures>)],
) -> Result<String> {
    let plans: Vec<_> = results
        .iter()
        .map(|(plan, rows)| json!({ "plan": plan.name, "words": plan.words, "rows": rows }))
        .collect();
    let all = json!({ "costs": costs, "server": server, "spreads": spreads, "plans": plans });
    Ok(serde_json::to_string_pretty(&all)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_that_suits_them() {
        for (seconds, text) in [(0, "0 s"), (59, "59 s"), (187, "3:07 min"), (3_720, "1:02 h")] {
            assert_eq!(duration(seconds), text);
        }
    }
}
