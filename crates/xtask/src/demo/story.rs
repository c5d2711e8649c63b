//! The steps of the demo as a person sees them: a line when each begins and ends, a table at the end.

use std::time::Instant;

use crate::table::table;
use crate::trouble::Result;

/// What a step has to say.
pub(crate) struct Told {
    /// Figures: how much of what.
    pub(crate) figures: String,
    /// One or two words: `accepted`, `no difference`.
    pub(crate) result: String,
}

impl Told {
    pub(crate) fn new(figures: impl Into<String>, result: impl Into<String>) -> Told {
        Told { figures: figures.into(), result: result.into() }
    }
}

#[derive(Default)]
pub(crate) struct Story {
    rows: Vec<Vec<String>>,
}

impl Story {
    /// Does one step, and remembers how it went.
    pub(crate) fn tell(
        &mut self,
        name: &str,
        about: &str,
        step: impl FnOnce() -> Result<Told>,
    ) -> Result<()> {
        eprintln!("- {name}: {about}");
        let began = Instant::now();
        let told = step();
        let seconds = format!("{:.1}", began.elapsed().as_secs_f64());
        let (figures, result) = match &told {
            Ok(told) => (told.figures.clone(), told.result.clone()),
            Err(_) => (String::new(), "FAILED".to_owned()),
        };
        eprintln!("    {figures}{}{result} ({seconds} s)", if figures.is_empty() { "" } else { ": " });
        self.rows.push(vec![name.to_owned(), figures, seconds, result]);
        told.map(drop)
    }

    pub(crate) fn table(&self) -> String {
        table(&["step", "figures", "seconds", "result"], &self.rows, &[2])
    }
}
