//! One row of the result, as a table and as JSON.

use serde::Serialize;

use crate::table::table;
use crate::trouble::Result;

/// Ours against one peer. All values are medians.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) id: &'static str,
    ours: f64,
    peer: &'static str,
    peer_value: f64,
    unit: &'static str,
    /// Above 1, ours is better.
    ratio: f64,
    /// What the ratio should reach; none for a floor and for information.
    goal: Option<f64>,
    met: Option<bool>,
    rounds: usize,
    /// The wider of both: (largest - smallest) / median.
    spread: f64,
}

impl Row {
    /// Seconds against seconds: less is better.
    pub(crate) fn against(
        id: &'static str,
        peer: &'static str,
        ours: &[f64],
        theirs: &[f64],
        goal: Option<f64>,
    ) -> Row {
        let (our_median, peer_value) = (median(ours), median(theirs));
        let ratio = peer_value / our_median;
        Row {
            id,
            ours: round(our_median),
            peer,
            peer_value: round(peer_value),
            unit: "s",
            ratio: round(ratio),
            goal,
            met: goal.map(|goal| ratio >= goal),
            rounds: ours.len(),
            spread: round(spread(ours).max(spread(theirs))),
        }
    }
}

impl Row {
    /// A value that must not be larger than `limit`.
    pub(crate) fn at_most(id: &'static str, unit: &'static str, value: f64, limit: f64) -> Row {
        Row::limited(id, unit, &[value], limit, limit / value)
    }

    /// Values that must not be larger than `limit`.
    pub(crate) fn all_at_most(id: &'static str, unit: &'static str, values: &[f64], limit: f64) -> Row {
        Row::limited(id, unit, values, limit, limit / median(values))
    }

    /// A value that must not be smaller than `limit`.
    pub(crate) fn at_least(id: &'static str, unit: &'static str, values: &[f64], limit: f64) -> Row {
        Row::limited(id, unit, values, limit, median(values) / limit)
    }

    /// Values of which each has a limit of its own: `parts` are the parts of it that they reach.
    pub(crate) fn part_of_limit(id: &'static str, unit: &'static str, values: &[f64], parts: &[f64]) -> Row {
        let limit = median(values) / median(parts);
        Row::limited(id, unit, values, limit, 1.0 / median(parts))
    }

    fn limited(id: &'static str, unit: &'static str, values: &[f64], limit: f64, ratio: f64) -> Row {
        Row {
            id,
            ours: round(median(values)),
            peer: "limit",
            peer_value: round(limit),
            unit,
            ratio: round(ratio),
            goal: Some(1.0),
            met: Some(ratio >= 1.0),
            rounds: values.len(),
            spread: round(spread(values)),
        }
    }
}

pub(crate) fn print(rows: &[Row]) -> String {
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            let word = match row.met {
                Some(true) => "met",
                Some(false) => "NOT MET",
                None => "",
            };
            vec![
                row.id.to_owned(),
                format!("{:.2} {}", row.ours, row.unit),
                row.peer.to_owned(),
                format!("{:.2} {}", row.peer_value, row.unit),
                format!("{:.2}", row.ratio),
                row.goal.map(|goal| format!("{goal:.1}")).unwrap_or_default(),
                word.to_owned(),
                row.rounds.to_string(),
                format!("{:.0} %", row.spread * 100.0),
            ]
        })
        .collect();
    table(
        &["id", "ours", "peer", "peer's", "ratio", "goal", "", "rounds", "spread"],
        &cells,
        &[1, 3, 4, 5, 7, 8],
    )
}

pub(crate) fn json(rows: &[Row]) -> Result<String> {
    Ok(serde_json::to_string_pretty(&serde_json::json!({ "rows": rows }))? + "\n")
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let half = sorted.len() / 2;
    let upper = sorted.get(half).copied().unwrap_or(f64::NAN);
    if sorted.len() % 2 == 1 {
        upper
    } else {
        (upper + sorted.get(half.wrapping_sub(1)).copied().unwrap_or(upper)) / 2.0
    }
}

fn spread(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    match (sorted.first(), sorted.last()) {
        (Some(least), Some(most)) => (most - least) / median(values),
        _ => f64::NAN,
    }
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_above_one_means_that_ours_is_faster() {
        let row = Row::against("x", "y", &[2.0, 1.0, 3.0], &[4.0, 5.0], Some(1.0));
        assert_eq!((row.ours, row.peer_value, row.ratio, row.met), (2.0, 4.5, 2.25, Some(true)));
        let slow = Row::against("x", "y", &[2.0], &[1.0], Some(1.0));
        assert_eq!((slow.ratio, slow.met), (0.5, Some(false)));
    }

    #[test]
    fn a_limit_is_met_from_its_own_side() {
        assert_eq!(Row::at_most("x", "MiB", 150.0, 300.0).met, Some(true));
        assert_eq!(Row::at_most("x", "MiB", 301.0, 300.0).met, Some(false));
        assert_eq!(Row::at_least("x", "s", &[0.9, 0.8, 0.86], 0.85).met, Some(true));
        assert_eq!(Row::at_least("x", "s", &[0.9, 0.8, 0.84], 0.85).met, Some(false));
    }

    #[test]
    fn the_spread_is_that_of_the_less_steady_side() {
        let row = Row::against("x", "y", &[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0], None);
        assert_eq!(row.spread, 1.0);
    }
}
