//! Lists the hosts.

use cli::{Exit, Failed, Run};
use history::History;

use super::account_name::account_name;
use crate::account::account;
use crate::ingest::hosts;
use crate::list::open;
use crate::settings::Settings;

/// Runs the verb.
pub(crate) fn run(run: &mut Run, settings: &Settings) -> Result<Exit, Failed> {
    let history: History = open(settings)?;
    let mut listed = Vec::new();
    for host in hosts(settings)? {
        let name = account_name(settings, &host)?;
        let account = account(&name)?.map(|_| name);
        let has_history = history.host(&host).is_ok();
        run.line(&format!(
            "{host}: account {}, {}",
            account.as_deref().unwrap_or("none"),
            if has_history { "history" } else { "no history yet" },
        ));
        listed.push(serde_json::json!({ "host": host.as_str(), "account": account, "history": has_history }));
    }
    run.report().detail("hosts", listed);
    Ok(Exit::WHOLE)
}
