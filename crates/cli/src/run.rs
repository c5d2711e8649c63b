//! One run of one verb, from its first word to its exit code.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::args::Common;
use crate::console::{Console, line_to_stderr};
use crate::exit::Exit;
use crate::failure::{BUG_ADVICE, Failed};
use crate::monitor::Monitor;
use crate::report::{LEFT_OUT_MAX, Report};
use crate::text::{shown, tame};

/// Set by the first panic of any thread.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// What a verb works with: where to print, where to count.
#[derive(Debug)]
pub struct Run {
    report: Report,
    console: Console,
    ending: Ending,
    output: Output,
}

/// What the last line of standard output is.
#[derive(Debug, Clone, Copy)]
enum Ending {
    Report,
    Plain,
}

/// How standard output fares.
#[derive(Debug)]
enum Output {
    Open,
    /// The reader went away, as in `| head`: nothing is lost that anyone wants.
    Closed,
    Failed(io::Error),
}

impl Run {
    /// A run of `verb` that begins now.
    #[must_use]
    pub fn new(program: &str, verb: &str, common: &Common) -> Run {
        let ending = if common.json { Ending::Report } else { Ending::Plain };
        Run { report: Report::new(program, verb), console: common.console(), ending, output: Output::Open }
    }

    /// The console, as a value of its own: it can be kept while the report is written to.
    #[must_use]
    pub fn console(&self) -> Console {
        self.console.clone()
    }

    /// The report.
    pub fn report(&mut self) -> &mut Report {
        &mut self.report
    }

    /// Names what was left out, on the console and in the report. The run can then not end with 0.
    ///
    /// Beyond [`LEFT_OUT_MAX`] the report only counts, and the console names the rest under `-v`.
    pub fn leave_out(&mut self, path: &[u8], why: &str) {
        self.report.leave_out(path, why);
        let text = format!("left out: {}: {why}", shown(path));
        match self.report.left_out().cmp(&(LEFT_OUT_MAX as u64 + 1)) {
            Less => self.console.warn(&text),
            Equal => self.console.warn("left out: more than can be listed; -v names all"),
            Greater => {}
        }
        if self.report.left_out() > LEFT_OUT_MAX as u64 {
            self.console.info(&text);
        }
    }

    /// Prints one line of results on standard output. Bytes from outside go through [`shown`] first; what is left of them is tamed.
    pub fn line(&mut self, text: &str) {
        if matches!(self.output, Output::Open) {
            let mut out = io::stdout().lock();
            self.output = outcome(writeln!(out, "{}", tame(text)));
        }
    }

    /// Ends the run: prints what failed, then the report, and says the code.
    fn end(mut self, result: Result<Exit, Failed>) -> Exit {
        let (mut exit, mut failed) = match result {
            Ok(exit) => (exit, None),
            Err(failed) => (failed.exit(), Some(failed)),
        };
        if exit == Exit::WHOLE && self.report.left_out() > 0 {
            exit = Exit::LEFT_OUT;
        }
        if let (Output::Failed(source), None) = (self.output, &failed) {
            let lost = Failed::machine("writing to standard output", source);
            exit = lost.exit();
            failed = Some(lost);
        }
        if PANICKED.load(Ordering::SeqCst) && failed.is_none() {
            // The hook has printed it; a thread's panic must not end as a success.
            exit = Exit::BUG;
        }
        if let Some(failed) = &failed {
            // Nobody to tell if standard error is gone.
            let _ = failed.print(&mut io::stderr().lock());
        }
        self.report.close(exit, failed.as_ref());
        match self.ending {
            Ending::Report if !print_report(&self.report) && exit == Exit::WHOLE => Exit::MACHINE,
            _ => exit,
        }
    }
}

/// Runs one verb and ends the process's work: errors are printed once, a panic is a bug, the report comes last.
///
/// Whatever `verb` answers, a run that left something out or panicked anywhere does not end with 0.
pub fn run(run: Run, verb: impl FnOnce(&mut Run) -> Result<Exit, Failed>) -> ExitCode {
    to_its_end(run, verb).into()
}

fn to_its_end(mut run: Run, verb: impl FnOnce(&mut Run) -> Result<Exit, Failed>) -> Exit {
    std::panic::set_hook(Box::new(say_panic));
    // After a panic the run is only closed, never gone on with.
    match catch_unwind(AssertUnwindSafe(|| verb(&mut run))) {
        Ok(result) => run.end(result),
        Err(_) => run.end_in_panic(),
    }
}

impl Run {
    fn end_in_panic(mut self) -> Exit {
        self.report.close(Exit::BUG, Some(&Failed::bug("panicked", "see standard error")));
        if let Ending::Report = self.ending {
            print_report(&self.report);
        }
        Exit::BUG
    }
}

fn say_panic(info: &PanicHookInfo<'_>) {
    PANICKED.store(true, Ordering::SeqCst);
    let what = info.payload_as_str().unwrap_or("a panic without words");
    let place =
        info.location().map(|place| format!(" ({}:{})", place.file(), place.line())).unwrap_or_default();
    line_to_stderr(&format!("firn: bug: {}{place}", tame(what)));
    line_to_stderr(&format!("help: {BUG_ADVICE}"));
}

/// Prints the report as the last line; false if it could not be printed.
pub(crate) fn print_report(report: &Report) -> bool {
    let Ok(line) = report.line() else {
        line_to_stderr("firn: bug: failed to write the report as JSON");
        return false;
    };
    let mut out = io::stdout().lock();
    let printed = writeln!(out, "{line}").and_then(|()| out.flush());
    if let Err(error) = &printed {
        line_to_stderr(&format!("firn: error: failed to print the report: {error}"));
    }
    printed.is_ok()
}

fn outcome(written: io::Result<()>) -> Output {
    match written {
        Ok(()) => Output::Open,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Output::Closed,
        Err(error) => Output::Failed(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_of(output: Output) -> Run {
        Run { output, ..Run::new("push-client", "run", &Common::default()) }
    }

    #[test]
    fn a_run_that_left_something_out_does_not_end_whole() {
        let mut run = run_of(Output::Open);
        run.report().leave_out(b"etc/shadow", "permission denied");
        assert_eq!(run.end(Ok(Exit::WHOLE)), Exit::LEFT_OUT);
        assert_eq!(run_of(Output::Open).end(Ok(Exit::WHOLE)), Exit::WHOLE);
    }

    #[test]
    fn a_pending_push_stays_pending_even_if_something_was_left_out() {
        let mut run = run_of(Output::Open);
        run.report().leave_out(b"etc/shadow", "permission denied");
        assert_eq!(run.end(Ok(Exit::PENDING)), Exit::PENDING);
    }

    #[test]
    fn results_that_could_not_be_written_are_no_success_but_a_reader_may_leave() {
        assert!(matches!(outcome(Err(io::ErrorKind::BrokenPipe.into())), Output::Closed));
        assert!(matches!(outcome(Err(io::ErrorKind::StorageFull.into())), Output::Failed(_)));
        assert_eq!(
            run_of(Output::Failed(io::ErrorKind::StorageFull.into())).end(Ok(Exit::WHOLE)),
            Exit::MACHINE
        );
        assert_eq!(run_of(Output::Closed).end(Ok(Exit::WHOLE)), Exit::WHOLE);
    }

    /// Runs `verb` in a process of its own: panic hooks and standard output belong to a whole process. The child is this test binary,
    /// asked to run the one test `name` again.
    fn in_a_child(name: &str, verb: impl FnOnce(&mut Run) -> Result<Exit, Failed>) -> std::process::Output {
        if std::env::var_os("CLI_TEST_CHILD").is_some() {
            let common = Common { json: true, ..Common::default() };
            std::process::exit(to_its_end(Run::new("push-client", "run", &common), verb).code().into());
        }
        std::process::Command::new(std::env::current_exe().unwrap())
            .args([&format!("run::tests::{name}"), "--exact", "--nocapture"])
            .env("CLI_TEST_CHILD", "1")
            .output()
            .unwrap()
    }

    fn last_report(output: &std::process::Output) -> serde_json::Value {
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    }

    #[test]
    fn a_panic_is_a_bug_with_code_1_and_still_a_report() {
        let output =
            in_a_child("a_panic_is_a_bug_with_code_1_and_still_a_report", |_| panic!("torn \u{1b}[2J"));
        assert_eq!(output.status.code(), Some(1));
        let errors = String::from_utf8(output.stderr.clone()).unwrap();
        assert!(errors.contains("firn: bug: torn \\x1b[2J (crates/cli/src/run.rs:"), "{errors}");
        assert_eq!(last_report(&output)["exit"], 1);
        assert_ne!(last_report(&output)["error"], serde_json::Value::Null);
    }

    #[test]
    fn a_panic_in_a_thread_is_never_a_success() {
        let output = in_a_child("a_panic_in_a_thread_is_never_a_success", |_| {
            let _ = std::thread::spawn(|| panic!("torn")).join();
            Ok(Exit::WHOLE)
        });
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(last_report(&output)["exit"], 1);
    }

    #[test]
    fn the_report_is_the_last_line_after_the_results() {
        let output = in_a_child("the_report_is_the_last_line_after_the_results", |run| {
            run.line("one\u{1b}");
            run.leave_out(b"etc/shadow", "permission denied");
            Ok(Exit::WHOLE)
        });
        assert_eq!(output.status.code(), Some(3));
        assert!(String::from_utf8_lossy(&output.stdout).contains("one\\x1b\n{\"format\""));
        assert_eq!(last_report(&output)["left_out"][0]["path"], "etc/shadow");
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains("firn: warning: left out: etc/shadow: permission denied\n"), "{errors}");
    }

    #[test]
    fn a_flood_of_left_out_files_does_not_flood_the_screen() {
        let output = in_a_child("a_flood_of_left_out_files_does_not_flood_the_screen", |run| {
            (0..LEFT_OUT_MAX + 50).for_each(|_| run.leave_out(b"etc/shadow", "permission denied"));
            Ok(Exit::WHOLE)
        });
        let errors = String::from_utf8(output.stderr.clone()).unwrap();
        let warnings = errors.lines().filter(|line| line.starts_with("firn: warning: left out: ")).count();
        assert_eq!(warnings, LEFT_OUT_MAX + 1);
        assert_eq!(last_report(&output)["counts"]["left_out"], LEFT_OUT_MAX + 50);
    }

    #[test]
    fn a_failure_ends_with_its_own_code() {
        let failed = Failed::machine("opening the state folder", io::ErrorKind::PermissionDenied.into());
        assert_eq!(run_of(Output::Open).end(Err(failed)), Exit::MACHINE);
    }
}
