//! What a vault tells about itself. Only questions: nothing is changed to find out.

use chrono::Utc;

use super::locks::VaultLock;
use super::store::{Store, date};
use crate::Inspection;
use crate::inspection::{AgeLock, Archives, Fact, Obstacle, ObstacleKind};
use crate::s3::fault::Fault;

impl Store {
    pub(super) async fn inspect(&self) -> Inspection {
        let asked = self.client.describe_vault().account_id("-").vault_name(&self.vault).send().await;
        let counted = match asked.map_err(Fault::from) {
            Err(fault) => match obstacle(&fault) {
                Some(kind) => return Inspection::Unusable(Obstacle { kind, seen: fault.seen() }),
                None => unseen(&fault, "glacier:DescribeVault"),
            },
            Ok(vault) => Fact::Seen(date(vault.last_inventory_date())),
        };
        let lock = match self.vault_lock().await {
            Ok(VaultLock::Keeps(days)) => Fact::Seen(AgeLock::Keeps { days }),
            Ok(VaultLock::Nothing(why)) => Fact::Seen(AgeLock::Absent { why }),
            Err(fault) => unseen(&fault, "glacier:GetVaultLock"),
        };
        let clock_ahead = self.clock_now().ok().map(|there| there - Utc::now());
        Inspection::Archives(Box::new(Archives { clock_ahead, counted, lock }))
    }
}

fn obstacle(fault: &Fault) -> Option<ObstacleKind> {
    match (fault.status, fault.code.as_str()) {
        (None, _) => Some(ObstacleKind::NoAnswer),
        (Some(404), "ResourceNotFoundException") => Some(ObstacleKind::NoBucket),
        (Some(404 | 200..=299), _) => Some(ObstacleKind::NoAnswer),
        (_, "RequestExpired") => Some(ObstacleKind::Clock),
        (_, "InvalidSignatureException" | "UnrecognizedClientException" | "IncompleteSignatureException") => {
            Some(ObstacleKind::BadCredentials)
        }
        _ => None,
    }
}

fn unseen<T>(fault: &Fault, permission: &'static str) -> Fact<T> {
    match fault.status {
        Some(401 | 403) => Fact::Hidden { permission },
        _ => Fact::Unanswered { why: fault.seen() },
    }
}
